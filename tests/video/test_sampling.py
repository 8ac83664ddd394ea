"""Which moments are watched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import clips
from tempo.errors import UsageError
from tempo.video.sampling import at_rate, every_frame
from tempo.video.video import Video


def sample(end: float, **changes: float) -> tuple[np.ndarray, float]:
    rate = changes.pop("rate", 30.0)
    options = {
        "start": 0.0,
        "frame_count": round(end * rate),
        "fps": 2.0,
        "max_frames": 1024,
        "min_frames": 4,
        **changes,
    }
    sampling = at_rate(end=end, interval=1 / rate, **options)  # type: ignore[arg-type]
    return sampling.times, sampling.fps


@pytest.mark.parametrize(
    ("end", "count"), [(10.0, 20), (10.001, 20), (9.99, 20), (10.1, 21), (512.0, 1024), (60.0, 120)]
)
def test_the_rate_that_was_asked_for(end: float, count: int) -> None:
    times, fps = sample(end)
    np.testing.assert_allclose(times, np.arange(count) / 2)
    assert fps == 2.0


def test_published_frame_numbers_above_the_cap() -> None:
    """Evenly from the first frame to the last: ⌊linspace(0, N − 1, cap)⌋ in frame numbers."""
    total, rate = 28_800, 24.0
    times, fps = sample(total / rate, rate=rate)
    numbers = np.floor(times * rate + 1e-6).astype(int)
    assert (numbers == np.linspace(0, total - 1, 1024).astype(int)).all()
    assert fps == pytest.approx(1023 / ((total - 1) / rate))


def test_at_least_four_frames() -> None:
    times, fps = sample(1.0)
    np.testing.assert_allclose(times, np.linspace(0, 29 / 30, 4))
    assert fps == pytest.approx(3 / (29 / 30))


def test_never_more_frames_than_there_are() -> None:
    assert len(sample(0.1, rate=20)[0]) == 2
    assert len(sample(0.05, rate=20)[0]) == 1


def test_the_cap_wins_over_the_floor() -> None:
    times, fps = sample(10.0, max_frames=2)
    np.testing.assert_allclose(times, [0, 299 / 30])
    times, fps = sample(10.0, max_frames=1)
    assert times.tolist() == [0]
    assert fps == pytest.approx(0.1)


def test_a_late_beginning() -> None:
    times, _ = sample(10.0, start=3.25)
    assert times[0] == 3.25
    assert times[-1] < 10


def test_every_frame_of_an_array() -> None:
    assert every_frame(frame_count=5, frame_rate=4.0, max_frames=8).times.tolist() == [0, 0.25, 0.5, 0.75, 1]
    thinned = every_frame(frame_count=100, frame_rate=4.0, max_frames=4)
    assert thinned.times.tolist() == [0, 33 / 4, 66 / 4, 99 / 4]
    assert thinned.fps == pytest.approx(3 / (99 / 4))
    assert every_frame(frame_count=100, frame_rate=4.0, max_frames=1).fps == pytest.approx(0.04)


def test_a_part_is_sampled_with_all_frames_and_at_the_videos_own_times(tmp_path: Path) -> None:
    video = Video.open(clips.write(tmp_path / "film.mp4", count=24 * 8, rate=8, size=(64, 48)))
    part = video.sample(start=10, end=16)
    np.testing.assert_allclose(part.times, 10 + np.arange(12) / 2)
    few = video.sample(start=10, end=16, max_frames=6)
    assert (few.times[0], few.times[-1]) == (10, pytest.approx(16 - 1 / 8))
    assert video.sample(start=20).times[-1] == 23.5
    assert video.sample(end=4).times.tolist() == video.sample().times[:8].tolist()
    numbers = [clips.index_of(frame) for batch in video.stream(part, chunk=4) for frame in batch.frames]
    assert numbers == [round(time * 8) for time in part.times]


def test_a_part_of_an_array_keeps_its_frames() -> None:
    video = Video.from_frames(np.zeros((20, 8, 8, 3), np.uint8), fps=2.0)
    assert video.sample(start=3, end=5).times.tolist() == [3.0, 3.5, 4.0, 4.5]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"start": 7, "end": 7}, "start must come before end"),
        ({"start": 30}, "no video from 30 to 10 s; it has 10.0 s"),
        ({"start": -1}, "start must be a time in seconds of at least 0"),
        ({"end": float("nan")}, "end must be a time in seconds"),
    ],
)
def test_a_part_that_is_not_there(part: dict[str, float], words: str) -> None:
    video = Video.from_frames(np.zeros((20, 8, 8, 3), np.uint8), fps=2.0)
    with pytest.raises(UsageError, match=words):
        video.sample(**part)
