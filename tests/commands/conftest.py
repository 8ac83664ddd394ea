"""The command line as its users meet it: a process of its own, real files, a tiny published-layout checkpoint."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

REFERENCE = Path(__file__).parents[1] / "reference"
TINY = REFERENCE / "tempo-tiny"

Run = Callable[..., subprocess.CompletedProcess[str]]


def environment(home: Path, **more: str) -> dict[str, str]:
    """A user's environment: no hub, a cache of its own, nothing of this process's tempo settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TEMPO_", "HF_"))}
    return kept | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(home), "TEMPO_CACHE": str(home / "cache")} | more


@pytest.fixture
def tempo(tmp_path: Path) -> Run:
    """Call `tempo` with some arguments; the process's output comes back as text."""

    def run(*arguments: object, timeout: float = 120, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tempo", *map(str, arguments)],
            env=environment(tmp_path, **more),
            capture_output=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )

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
        assert "fault in tempo" not in done.stderr
        return done.stderr[len("tempo: ") : -1]

    return run


def write_video(path: Path, *, seconds: float = 6, fps: int = 10, size: tuple[int, int] = (128, 96)) -> Path:
    """Write a H.264 file in which a light square crosses a dark frame."""
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"g": str(fps)}  # a keyframe a second
        count = round(seconds * fps)
        for i in range(count):
            picture = np.full((height, width, 3), 30, np.uint8)
            x = i * (width - 20) // count
            picture[40:60, x : x + 20] = (230, 200, 60)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of H.264."""
    return write_video(tmp_path_factory.mktemp("clips") / "clip.mp4")
