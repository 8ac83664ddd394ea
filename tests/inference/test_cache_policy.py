"""What several questions share is kept in the first place that has the room."""

import pytest

import clips
from privileges import read_only
from tempo.errors import NoRoomError
from tempo.inference import engine as engines
from tempo.inference.prefix_cache import DiskCache
from tempo.video.video import Video

QUESTION = "What colour is the square?"


@pytest.fixture
def video(tmp_path):
    return Video.open(clips.write(tmp_path / "clip.mp4", count=20, rate=10))


def test_one_question_keeps_nothing_and_several_do(engine, video):
    assert not engine.watch(video, cache="auto", several=False).is_cached
    assert engine.watch(video, cache="auto", several=True).is_cached
    assert not list(engine.disk.root.glob("*")), "there was room in memory"
    assert not engine.watch(video, cache="none", several=True).is_cached


def test_without_room_in_memory_it_goes_to_disk_and_without_any_it_is_watched_anew(
    engine, video, monkeypatch
):
    monkeypatch.setattr(engines, "available_bytes", lambda device: 10)
    monkeypatch.setattr(engine, "segments_per_batch", lambda video, *, reserve, cached=False: 1)
    with pytest.raises(NoRoomError, match="disk"):
        engine.watch(video, cache="device", several=True)
    kept = engine.watch(video, cache="auto", several=True)
    assert kept.is_cached
    assert len(list(engine.disk.root.iterdir())) == 1
    # What is on disk already is found, also by one question.
    assert engine.watch(video, cache="auto", several=False).is_cached
    engine.disk = DiskCache(engine.disk.root.parent / "small", limit_bytes=10)
    anew = engine.watch(video, cache="auto", several=True)
    assert not anew.is_cached
    options = {"max_new_tokens": 4}
    assert anew.ask(QUESTION, **options).token_ids == kept.ask(QUESTION, **options).token_ids


def test_a_disk_that_cannot_be_written_to_is_like_one_without_room(engine, video, monkeypatch):
    monkeypatch.setattr(engines, "available_bytes", lambda device: 10)
    monkeypatch.setattr(engine, "segments_per_batch", lambda video, *, reserve, cached=False: 1)
    engine.disk.root.mkdir()
    with read_only(engine.disk.root):
        assert not engine.watch(video, cache="auto", several=True).is_cached
        with pytest.raises(NoRoomError, match=r"kept: not writable \(Permission denied\)"):
            engine.watch(video, cache="disk", several=True)
