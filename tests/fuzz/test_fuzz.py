"""A hundred damaged files: nothing worse than a line about it. `python -m tests.fuzz` takes a thousand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits on processes are those of Linux")
def test_a_hundred_damaged_files() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--count", "100", "--jobs", "2"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "100 files of " in done.stdout
