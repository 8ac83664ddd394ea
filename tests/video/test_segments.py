"""Frames → segments."""

from __future__ import annotations

import numpy as np
import pytest

from tempo.video.frames import FrameBatch
from tempo.video.segments import segments_of


def batches(count: int, chunk: int, fps: float = 2.0) -> list[FrameBatch]:
    frames = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 6, 3), np.uint8)
    times = np.arange(count) / fps
    return [FrameBatch(frames[i : i + chunk], times[i : i + chunk]) for i in range(0, count, chunk)]


@pytest.mark.parametrize("chunk", [1, 3, 8, 12, 100])
@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 27])
def test_the_batches_make_no_difference(count: int, chunk: int) -> None:
    segments = list(segments_of(batches(count, chunk), fps=2.0))
    assert [segment.index for segment in segments] == list(range(-(-count // 8)))
    assert [frame[0, 0, 0] for segment in segments for frame in segment.frames] == list(range(count))
    assert [len(segment.frames) for segment in segments[:-1]] == [8] * (len(segments) - 1)
    np.testing.assert_allclose(np.concatenate([segment.times for segment in segments]), np.arange(count) / 2)


def test_times_of_full_and_short_segments() -> None:
    full, short = segments_of(batches(11, 4), fps=2.0)
    assert (full.start, full.end, full.timestamp) == (0.0, 4.0, 2.0)
    # The last one ends a frame after its last frame, but its timestamp is half a full window after its start.
    assert (short.start, short.end, short.timestamp) == (4.0, 5.5, 6.0)


def test_segments_of_another_length() -> None:
    assert [len(segment.frames) for segment in segments_of(batches(10, 4), segment_frames=3, fps=2.0)] == [
        3,
        3,
        3,
        1,
    ]


def test_real_times_are_kept() -> None:
    times = np.array([0.033, 0.52, 1.0, 1.49])
    (segment,) = segments_of([FrameBatch(np.zeros((4, 2, 2, 3), np.uint8), times)], fps=2.0)
    assert segment.start == 0.033
    assert segment.timestamp == pytest.approx(2.033)
    assert (segment.times == times).all()


def test_nothing_in_nothing_out() -> None:
    assert list(segments_of([], fps=2.0)) == []


def test_it_takes_no_more_than_it_needs() -> None:
    """A segment is handed over before the next batch is asked for."""
    taken = []

    def source():  # type: ignore[no-untyped-def]
        for batch in batches(32, 8):
            taken.append(batch)
            yield batch

    segments = segments_of(source(), fps=2.0)
    next(segments)
    assert len(taken) == 1


@pytest.mark.parametrize(
    ("frames", "times"),
    [
        (np.zeros((2, 4, 4, 3), np.float32), np.zeros(2)),
        (np.zeros((2, 4, 4), np.uint8), np.zeros(2)),
        (np.zeros((2, 4, 4, 3), np.uint8), np.zeros(3)),
        (np.zeros((2, 4, 4, 3), np.uint8), np.array([1.0, 0.5])),
        (np.zeros((2, 4, 4, 3), np.uint8), np.array([0.0, np.nan])),
        (np.zeros((2, 4, 3, 4), np.uint8).swapaxes(2, 3), np.zeros(2)),
    ],
)
def test_batches_check_themselves(frames: np.ndarray, times: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"frames must|times must"):
        FrameBatch(frames, times)


def test_shapes_are_printed_not_data() -> None:
    (batch,) = batches(3, 8)
    assert repr(batch) == "FrameBatch(frames=uint8[3, 4, 6, 3], times=0.000-1.000 s)"
