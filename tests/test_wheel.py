"""The wheel: what is in it, and a first answer from it, away from the checkout."""

import json
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
NAMED = re.compile(r"(?:tempo-video|\.|\.whl)\[([\w,]+)\]")
MEGABYTE = 1_000_000


def run(*command, cwd):
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def bin_folder(wheel, tmp_path_factory):
    """Where the commands of an environment are that has the wheel, and of the others only the packages."""
    environment = tmp_path_factory.mktemp("env")
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=ROOT)
    python = environment / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", wheel, cwd=environment)
    (site,) = environment.glob("lib/*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment / "bin"


@pytest.mark.slow
def test_it_has_models_and_recipes_and_stays_small(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {
        "tempo/assets/nano/config.json",
        "tempo/recipes/nano/finetune.yaml",
        "tempo/assets/architectures/tempo-6b/config.json",
        *(f"tempo/recipes/tempo-6b/stage-{n}.yaml" for n in range(4)),
    } <= names
    assert not [name for name in names if name.startswith(("tests/", "research/")) or "__pycache__" in name]
    assert wheel.stat().st_size < 45 * MEGABYTE


@pytest.mark.slow
def test_it_answers_and_finds_its_recipes(bin_folder, tmp_path):
    tempo = bin_folder / "tempo"
    where = run(bin_folder / "python", "-c", "import tempo; print(tempo.__file__)", cwd=tmp_path)
    assert str(bin_folder.parent) in where
    options = ("--seconds", "8", "--height", "120", "--fps", "5", "--questions", "1")
    run(tempo, "synthetic", "make", "films", *options, cwd=tmp_path)
    question = json.loads((tmp_path / "films/0-000.json").read_text())["questions"][0]["text"]
    found = json.loads(run(tempo, "ask", "films/0-000.mp4", question, "--json", cwd=tmp_path))
    assert found["model"] == "tempo-nano"
    assert found["finished"]
    unnamed = subprocess.run(
        [tempo, "train", "--check", "nano/finetune"], cwd=tmp_path, capture_output=True, text=True
    )
    assert "mine.jsonl: no such file" in unnamed.stderr
    nothing = subprocess.run([tempo, "train", "nano/nothing"], cwd=tmp_path, capture_output=True, text=True)
    assert "nano/finetune, tempo-6b/finetune, tempo-6b/stage-0" in nothing.stderr


def test_errors_and_pages_name_the_extras_as_the_package_does():
    """And the README has every one that is for users."""
    files = [*ROOT.glob("src/**/*.py"), *ROOT.glob("docs/*.md"), ROOT / "README.md"]
    found = {file: NAMED.findall(file.read_text("utf-8")) for file in files}
    wrong = {
        str(file): name
        for file, names in found.items()
        for several in names
        for name in several.split(",")
        if name not in EXTRAS
    }
    assert wrong == {}
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [name for name in EXTRAS if name not in ("dev", "docs") and f"[{name}]" not in readme] == []
