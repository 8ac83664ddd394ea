"""The documentation site builds without a warning and needs no network."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWN = ROOT / os.environ.get("SITE", ".venv-docs") / "bin" / "python"  # which `make test` builds
PYTHON = str(OWN) if OWN.is_file() else sys.executable if importlib.util.find_spec("mkdocs") else None


@pytest.mark.slow
@pytest.mark.skipif(PYTHON is None, reason="mkdocs is not here; `make docs-env` installs it")
def test_the_site_builds_strictly_and_fetches_nothing(tmp_path):
    done = subprocess.run(
        [PYTHON, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    pages = list((tmp_path / "site").glob("*.html"))
    assert len(pages) > 10
    for page in pages:
        text = page.read_text(encoding="utf-8")
        fetched = re.findall(r"<(?:script|img|link|iframe)\b[^>]*?(?:src|href)=\"?(https?:[^\s\">]+)", text)
        assert not [address for address in fetched if "canonical" not in address], page.name
