"""Films made longer by repeating them: every frame again, at its time, and nothing but frames."""

import numpy as np
import pytest

from clips import indices, write
from tempo.benchmarking.videos import as_long_as, repeated
from tempo.errors import TempoError
from tempo.video.video import Sampling, Video

B_FRAMES = {"bf": "2", "g": "10", "x264-params": "b-adapt=0"}


def frames(path, rate):
    video = Video.open(path)
    times = np.arange(round(video.duration * rate)) / rate
    batches = list(video.stream(Sampling(times, rate), chunk=8))
    return video, np.concatenate([b.frames for b in batches]), np.concatenate([b.times for b in batches])


def test_a_film_in_a_row_is_itself_again_and_again(tmp_path):
    path = write(tmp_path / "clip.mp4", count=25, rate=10, options=B_FRAMES, sound=(0.0, 2.5))
    video, shown, times = frames(repeated(path, tmp_path, 3), 10)
    assert video.duration == pytest.approx(7.5)
    assert video.frame_count == 75
    assert indices(shown) == [*range(25)] * 3
    assert times == pytest.approx(np.arange(75) / 10, abs=1e-3)
    assert video.damage.seconds == 0


def test_a_film_comes_as_near_as_it_can_in_whole_turns(tmp_path):
    path = write(tmp_path / "clip.mp4", count=20, rate=10)
    assert as_long_as(str(path), tmp_path, 1 / 60) == path
    assert Video.open(as_long_as(str(path), tmp_path, 5.1 / 60)).duration == pytest.approx(6)


def test_what_is_made_is_made_once(tmp_path):
    path = write(tmp_path / "clip.mp4", count=10, rate=10)
    first = repeated(path, tmp_path, 2)
    written = first.stat().st_mtime_ns
    assert repeated(path, tmp_path, 2).stat().st_mtime_ns == written
    assert len(list(tmp_path.iterdir())) == 2
    write(path, count=20, rate=10)  # another film of the same name
    assert Video.open(repeated(path, tmp_path, 2)).frame_count == 40
    assert first.stat().st_mtime_ns == written


def test_where_it_cannot_be_written_is_said(tmp_path):
    path = write(tmp_path / "clip.mp4", count=10, rate=10)
    with pytest.raises(TempoError, match="cannot be repeated"):
        repeated(path, tmp_path / "nowhere", 2)
