"""Producing in a thread."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import clips
from tempo.video.prefetch import Background
from tempo.video.video import AHEAD_BYTES, Video

Threads = Callable[[], list[str]]


def count_to(limit: int, made: list[int], stop: threading.Event) -> Iterator[int]:
    for number in range(limit):
        if stop.is_set():
            return
        made.append(number)
        yield number


def test_everything_arrives_in_order(threads: Threads) -> None:
    made: list[int] = []
    items = Background(lambda stop: count_to(1000, made, stop), depth=3, name="tempo-test")
    assert list(items) == list(range(1000))
    assert threads() == []


def test_never_far_ahead() -> None:
    made: list[int] = []
    items = Background(lambda stop: count_to(1000, made, stop), depth=3, name="tempo-test")
    for taken in range(50):
        next(items)
        # Three waiting, one in hand, one being handed over.
        assert len(made) <= taken + 1 + 3 + 2
    items.close()


def test_closing_ends_the_thread(threads: Threads) -> None:
    made: list[int] = []
    items = Background(lambda stop: count_to(10**9, made, stop), depth=3, name="tempo-test")
    next(items)
    assert threads() == ["tempo-test"]
    items.close()
    assert threads() == []
    assert len(made) < 20


def test_an_error_arrives_after_what_came_before_it(threads: Threads) -> None:
    def fail(stop: threading.Event) -> Iterator[int]:
        yield from (1, 2)
        raise RuntimeError("the third is broken")

    items = Background(fail, depth=5, name="tempo-test")
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(RuntimeError, match="the third"):
        next(items)
    assert threads() == []


def test_leaving_a_video_in_the_middle_ends_its_thread(tmp_path: Path, threads: Threads) -> None:
    video = Video.open(clips.write(tmp_path / "clip.mp4", count=120))
    stream = video.stream(video.sample(fps=30.0), chunk=2)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert threads() == []
    for _ in video.stream(video.sample(fps=30.0), chunk=2):
        break
    assert threads() == []


def test_what_was_decoded_before_it_was_asked_for_is_used(tmp_path: Path, threads: Threads) -> None:
    path = clips.write(tmp_path / "clip.mp4", count=120)
    video = Video.open(path)
    sampling = video.sample(fps=30.0)
    expected = [batch.frames for batch in video.stream(sampling, chunk=8)]
    with video.decoding(sampling):
        while threads():  # all of so short a video may wait
            time.sleep(0.01)
        path.unlink()
        found = [batch.frames for batch in video.stream(video.sample(fps=30.0), chunk=8)]
    assert threads() == []
    assert all(map(np.array_equal, found, expected))
    assert not video.damage


def test_what_was_decoded_and_is_not_asked_for_is_let_go(tmp_path: Path, threads: Threads) -> None:
    video = Video.open(clips.write(tmp_path / "clip.mp4", count=120))
    with video.decoding(video.sample(fps=30.0)):
        every_third = [batch.times for batch in video.stream(video.sample(fps=10.0), chunk=8)]
    assert threads() == []
    assert sum(map(len, every_third)) == 40


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """What NumPy holds while 110 MB of frames go by: those that wait, and a few batches."""
    video = Video.open(clips.write(tmp_path / "clip.mp4", count=600, size=(320, 192)))
    tracemalloc.start()
    try:
        for batch in video.stream(video.sample(fps=30.0), chunk=8):
            assert batch.frames.dtype == np.uint8
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < AHEAD_BYTES + 4 * batch.frames.nbytes


def test_decoded_pictures_are_let_go(tmp_path: Path) -> None:
    """The process itself does not grow either, without help from the garbage collector."""
    program = (
        "import gc, resource, sys; from tempo.video.video import Video\n"
        "gc.disable(); video = Video.open(sys.argv[1])\n"
        "for batch in video.stream(video.sample(fps=30.0), chunk=8, size=(96, 48)):\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    path = clips.write(tmp_path / "clip.mp4", count=300, size=(640, 360))
    result = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    megabytes = [int(line) for line in result.stdout.split()]
    assert megabytes[-1] - megabytes[4] < 30, "260 frames of 640x360 are 90 MB"
