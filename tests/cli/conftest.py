"""The command line as its users meet it: a process of its own, real files, the tiny reference checkpoint."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import clips
from warm_processes import WarmServer

REFERENCE = Path(__file__).parents[1] / "reference"
TINY = REFERENCE / "tempo-tiny"

Run = Callable[..., subprocess.CompletedProcess[str]]


def environment(home: Path, **more: str) -> dict[str, str]:
    """A user's environment: no hub, a cache of its own, nothing of this process's tempo settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TEMPO_", "HF_"))}
    own = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(home), "TEMPO_CACHE": str(home / "cache")}
    # The matrices of the tiny models are so small that a second thread is mostly waited for.
    return kept | own | {"OMP_NUM_THREADS": "1"} | more


@pytest.fixture
def tempo(warm: WarmServer, tmp_path: Path) -> Run:
    """Call `tempo` with some arguments; the process's output comes back as text."""

    def run(*arguments: object, timeout: float = 500, **more: str) -> subprocess.CompletedProcess[str]:
        return warm.run("-m", "tempo", *arguments, env=environment(tmp_path, **more), timeout=timeout)

    return run


@pytest.fixture
def fails(tempo: Run) -> Callable[..., str]:
    """Call `tempo`, expect it to fail as it should, and return what it said: one line and no traceback."""

    def run(*arguments: object, status: int = 1, **more: str) -> str:
        done = tempo(*arguments, **more)
        assert done.returncode == status, done.stderr
        assert done.stdout == ""
        assert done.stderr.startswith("tempo: "), done.stderr
        assert done.stderr.endswith("\n")
        assert done.stderr.count("\n") == 1, done.stderr
        assert "Traceback" not in done.stderr
        assert "bug in tempo" not in done.stderr
        return done.stderr[len("tempo: ") : -1]

    return run


def write_video(path: Path, *, seconds: int = 6) -> Path:
    """Write H.264 at 10 frames a second, with a keyframe every second."""
    return clips.write(path, count=10 * seconds, rate=10, size=(128, 96), options={"g": "10"})


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of H.264."""
    return write_video(tmp_path_factory.mktemp("clips") / "clip.mp4")
