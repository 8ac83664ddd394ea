"""Samples that may be taken from keyframes: which times, which frames, and where it stays exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import clips
from tempo.errors import UsageError
from tempo.video.sampling import Sampling, at_keyframes
from tempo.video.video import FrameBatch, Video


def moved(times: list[float], keyframes: list[float], fps: float = 1.0, **part: float) -> Sampling:
    bounds = {"start": 0.0, "end": 1e9, **part}
    return at_keyframes(Sampling(np.array(times), fps), np.array(keyframes), **bounds)


def test_the_nearest_keyframe_within_half_an_interval() -> None:
    sampling = moved([0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 0.8, 1.1, 2.6, 4.5])
    assert sampling.times.tolist() == [0.0, 1.1, 2.0, 2.6, 4.5]
    assert sampling.at_keyframes == 4
    assert sampling.fps == 1.0


def test_a_keyframe_between_two_samples_is_taken_once() -> None:
    assert moved([0.0, 1.0], [0.5]).times.tolist() == [0.5, 1.0]
    rng = np.random.default_rng(0)
    for _ in range(300):
        count = int(rng.integers(1, 30))
        keyframes = np.unique(rng.integers(0, 60, int(rng.integers(1, 20))) / 4).tolist()
        sampling = moved([i / 2 for i in range(count)], keyframes, fps=2.0)
        assert (np.diff(sampling.times) > 0).all()
        assert (np.abs(sampling.times - np.arange(count) / 2) <= 0.25).all()
        assert sampling.at_keyframes is not None
        assert set(sampling.times) - set(np.arange(count) / 2) <= set(keyframes)


def test_no_keyframe_outside_of_the_part() -> None:
    assert moved([5.0, 6.0], [4.8, 6.4], start=5.0, end=6.2).times.tolist() == [5.0, 6.0]


def seen(video: Video, sampling: Sampling) -> FrameBatch:
    batches = list(video.stream(sampling, chunk=8))
    return FrameBatch(
        np.concatenate([batch.frames for batch in batches]),
        np.concatenate([batch.times for batch in batches]),
    )


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "open.mp4"])
def test_frames_carry_their_own_times(tmp_path: Path, name: str, workers: int) -> None:
    """Keyframes are at 0, 0.8, 1.6 …: the pictures say themselves which they are."""
    options = {"g": "20", "x264-params": f"scenecut=0:open-gop={int(name.startswith('open'))}", "bf": "3"}
    video = Video.open(clips.write(tmp_path / name, count=300, rate=25, options=options))
    video.decode_workers = workers
    exact, sampling = video.sample(fps=1.0), video.sample(fps=1.0, sampling="keyframes")
    batch = seen(video, sampling)
    assert exact.at_keyframes is None
    assert sampling.at_keyframes is not None
    assert sampling.at_keyframes > 8
    np.testing.assert_allclose(batch.times, sampling.times, atol=1e-3)
    np.testing.assert_allclose(np.array(clips.indices(batch.frames)) / 25, batch.times, atol=1.5e-3)
    assert (np.abs(sampling.times - exact.times) <= 0.5).all()
    assert (np.array(clips.indices(batch.frames)) % 20 == 0).sum() >= sampling.at_keyframes


def test_a_part_of_a_video(tmp_path: Path) -> None:
    video = Video.open(clips.write(tmp_path / "clip.mp4", count=300, rate=25, options={"g": "20"}))
    sampling = video.sample(fps=1.0, sampling="keyframes", start=3.3, end=7.1)
    assert (sampling.times >= 3.3).all()
    assert (sampling.times < 7.1).all()
    assert seen(video, sampling).times.tolist() == pytest.approx(sampling.times.tolist(), abs=0.04)


@pytest.mark.parametrize("name", ["clip.ts", "endless.mp4"])
def test_a_file_without_keyframes_near_is_sampled_exactly(tmp_path: Path, name: str) -> None:
    options = {"g": "1000", "x264-params": "scenecut=0"}
    video = Video.open(clips.write(tmp_path / name, count=100, rate=25, options=options))
    sampling = video.sample(fps=2.0, sampling="keyframes", start=1.0)
    assert sampling.at_keyframes == 0
    assert sampling.times.tolist() == video.sample(fps=2.0, start=1.0).times.tolist()


def test_images_have_nothing_to_choose_from() -> None:
    video = Video.from_frames(np.zeros((8, 32, 32, 3), np.uint8), fps=2.0)
    assert video.sample(sampling="keyframes").at_keyframes is None


def test_another_mode_is_refused(tmp_path: Path) -> None:
    video = Video.open(clips.write(tmp_path / "clip.mp4", count=5))
    with pytest.raises(UsageError, match="sampling='nearest': choose from exact, keyframes"):
        video.sample(sampling="nearest")  # type: ignore[arg-type]
