"""Steps of a pipeline that wait for one another."""

import threading
from pathlib import Path

MEETING = threading.Barrier(2)
RUN: list[str] = []


def meet(out: Path, *, name: str) -> None:
    """Wait for another step that runs at the same time."""
    MEETING.wait(timeout=60)
    RUN.append(name)


def gather(out: Path, *, steps: list[str]) -> None:
    """Come behind these steps."""
    assert all(Path(step).is_dir() for step in steps)
    RUN.append("gather")
