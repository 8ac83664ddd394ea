"""A drawn film with its truth, and the embedded model in exact arithmetic."""

import sys
from pathlib import Path

import pytest

import tempo
from tempo.synthetic.video_files import FileSpec, make_file

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def nano() -> "tempo.Tempo":
    return tempo.load(device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one film of half a minute and three questions about it."""
    folder = tmp_path_factory.mktemp("films")
    spec = FileSpec(seconds=30, height=120, fps=5, held_out=True)
    make_file(folder / "a-000.mp4", spec, seed="claims-test", questions=3)
    return folder
