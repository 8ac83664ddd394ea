"""What several questions share is kept in the first place that has the room."""

import pytest

import clips
from privileges import read_only
from tempo.errors import NoRoomError
from tempo.inference import cache_policy
from tempo.inference import engine as engines
from tempo.inference.prefix_cache import DiskCache
from tempo.video.video import Video

QUESTION = "What colour is the square?"


@pytest.fixture
def video(tmp_path):
    return Video.open(clips.write(tmp_path / "clip.mp4", count=20, rate=10))


def test_one_question_keeps_nothing_and_several_do(engine, video):
    assert not cache_policy.watch(engine, video, cache="auto", several=False).keeps
    assert cache_policy.watch(engine, video, cache="auto", several=True).keeps
    assert not list(engine.disk.root.glob("*")), "there was room in memory"
    assert not cache_policy.watch(engine, video, cache="none", several=True).keeps


def test_without_room_in_memory_it_goes_to_disk_and_without_any_it_is_watched_anew(
    engine, video, monkeypatch
):
    monkeypatch.setattr(engines, "available_bytes", lambda device: 10)
    monkeypatch.setattr(engine, "segments_together", lambda video, *, room, kept=False: 1)
    with pytest.raises(NoRoomError, match="disk"):
        cache_policy.watch(engine, video, cache="device", several=True)
    kept = cache_policy.watch(engine, video, cache="auto", several=True)
    assert kept.keeps
    assert len(list(engine.disk.root.iterdir())) == 1
    # What is on disk already is found, also by one question.
    assert cache_policy.watch(engine, video, cache="auto", several=False).keeps
    engine.disk = DiskCache(engine.disk.root.parent / "small", limit_bytes=10)
    anew = cache_policy.watch(engine, video, cache="auto", several=True)
    assert not anew.keeps
    options = {"max_new_tokens": 4}
    assert anew.ask(QUESTION, **options).token_ids == kept.ask(QUESTION, **options).token_ids


def test_a_disk_that_cannot_be_written_to_is_like_one_without_room(engine, video, monkeypatch):
    monkeypatch.setattr(engines, "available_bytes", lambda device: 10)
    monkeypatch.setattr(engine, "segments_together", lambda video, *, room, kept=False: 1)
    engine.disk.root.mkdir()
    with read_only(engine.disk.root):
        assert not cache_policy.watch(engine, video, cache="auto", several=True).keeps
        with pytest.raises(NoRoomError, match=r"kept: cannot write there \(Permission denied\)"):
            cache_policy.watch(engine, video, cache="disk", several=True)
