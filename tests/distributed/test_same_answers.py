"""Several replicas answer what one device answers: for every cache, for damaged files, for odd videos."""

import itertools
import os
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

import clips
from reference_cases import video_of
from tempo import Tempo, Video
from tempo.distributed.distributed_engine import DistributedTempo
from tempo.distributed.replica import replica_in_thread
from tempo.distributed.replica_pool import ReplicaPool
from tempo.errors import NoRoomError, TempoError
from tempo.processing.batching import SegmentRange, batches

CACHES = ("device", "host", "disk", "none")
QUESTIONS = ("What is shown?", "Which number comes last, and in which colour?")


def same(found, expected):
    """That two answers are equal, up to float32's rounding."""
    assert found.text == expected.text
    assert found.token_ids == expected.token_ids
    assert found.usage.prompt_tokens == expected.usage.prompt_tokens
    assert len(found.segments) == len(expected.segments)
    for one, other in zip(found.segments, expected.segments, strict=True):
        assert one.relevance == pytest.approx(other.relevance, abs=1e-5)
        assert replace(one, relevance=0) == replace(other, relevance=0)
    assert found.video == expected.video


def wait_until(condition):
    """Whether it comes true within ten seconds."""
    until = time.monotonic() + 10
    while not (found := condition()) and time.monotonic() < until:
        time.sleep(0.02)
    return found


def damage(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(content)


@pytest.mark.parametrize("cache", CACHES)
def test_recorded_answers(same_video, cache, three, tmp_path):
    """What the published code computed."""
    session = three.watch(video_of(same_video[0], tmp_path), cache=cache)
    for case in same_video:
        answer = session.ask(case.query, **case.options)
        recorded = case.tensors
        assert answer.token_ids == recorded["generated_ids"].tolist()
        tokens = [segment.tokens for segment in answer.segments]
        if "allocation" in recorded:
            assert tokens == recorded["allocation"].tolist()
        if "relevance" in recorded:
            relevance = torch.tensor([segment.relevance for segment in answer.segments])
            torch.testing.assert_close(relevance, recorded["relevance"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("cache", CACHES)
def test_processes_answer_what_one_device_does(cache, two, engine, film):
    """A follow-up, a conversation and every way to keep tokens, with one replica in another process."""
    session, alone = two.watch(film, cache=cache), engine.watch(film, cache=cache)
    assert session.is_cached is (cache != "none")
    assert session.cached_bytes == alone.cached_bytes
    talk, talk_alone = session.conversation(), alone.conversation()
    for question in QUESTIONS:
        options = {"budget": 60, "max_new_tokens": 8}
        same(talk.ask(question, **options), talk_alone.ask(question, **options))
    for keep in ("tail", "random", "merge") if cache == "host" else ():
        options = {"budget": 40, "max_new_tokens": 4, "keep": keep}
        same(session.ask(QUESTIONS[0], **options), alone.ask(QUESTIONS[0], **options))
    options = {"budget": 30, "max_new_tokens": 4, "adaptive": False}
    answers = zip(session.ask_many(QUESTIONS, **options), alone.ask_many(QUESTIONS, **options), strict=True)
    for found, expected in answers:
        same(found, expected)


def test_the_embedded_model_answers_the_same(nano, films):
    several = DistributedTempo(nano, ReplicaPool([lambda: replica_in_thread(nano, nano.device)] * 2))
    film, options = films / "a-000.mp4", {"budget": 100, "max_new_tokens": 16}
    session, alone = several.watch(film), nano.watch(film)
    for question in ("What happens first?", "Which way does the triangle move?"):
        same(session.ask(question, **options), alone.ask(question, **options))
    several.close()


@pytest.mark.parametrize(("place", "cache"), [(0.2, "host"), (0.4, "disk"), (0.7, "none")])
def test_a_damaged_file(three, engine, tmp_path, place, cache):
    """What is lost moves later frames into earlier segments, of other replicas too."""
    path = clips.write(tmp_path / "film.mkv", count=150, rate=5, options={"g": "10"})
    data = bytearray(path.read_bytes())
    at = int(len(data) * place)
    data[at : at + len(data) // 10] = bytes(len(data) // 10)
    path.write_bytes(data)
    session, alone = three.watch(path, cache=cache), engine.watch(path, cache=cache)
    options = {"budget": 60, "max_new_tokens": 2}
    expected = alone.ask(QUESTIONS[0], **options)
    assert expected.video.lost_seconds > 4
    same(session.ask(QUESTIONS[0], **options), expected)
    same(three.watch(path, cache=cache).ask(QUESTIONS[0], **options), expected)


def test_a_picture_that_stays_on_screen_across_the_border_of_two_ranges(three, engine, tmp_path):
    """A repeated frame carries the time of its sample, wherever a range begins."""
    path = clips.write(tmp_path / "still.mkv", rate=1, ticks=[0, 1, 2, 3, 11, 12, 19, 20])
    session, alone = three.watch(path), engine.watch(path)
    assert len(alone.sampling) > 24
    same(session.ask(QUESTIONS[0], max_new_tokens=2), alone.ask(QUESTIONS[0], max_new_tokens=2))


def test_ranges_hold_the_segments_of_the_whole(engine, film):
    """Bit by bit, however a video is dealt out, and with a file decoded from its beginning as well."""

    def segments(part):
        video = Video.open(film)
        found = batches(
            video,
            video.sample(fps=2.0),
            prompts=engine.prompts,
            geometry=engine.geometry,
            segment_frames=engine.config.segment_frames,
            batch_size=1,
            part=part,
        )
        return [(batch.segments, batch.ids_SL, batch.pixels_SPC) for batch in found]

    whole = segments(None)
    assert len(whole) == 5
    for ends in ([0, 1, 5], [0, 2, 3, 5], [0, 4, 5]):
        for from_beginning in (False, True):
            parts = [
                one
                for start, stop in itertools.pairwise(ends)
                for one in segments(SegmentRange(start, stop, from_beginning))
            ]
            for found, expected in zip(parts, whole, strict=True):
                assert found[0] == expected[0]
                assert torch.equal(found[1], expected[1])
                assert torch.equal(found[2], expected[2])


@pytest.mark.parametrize("frames", [1, 8, 9, 17])
def test_more_replicas_than_segments(three, engine, frames):
    video = Video.from_frames(np.stack([clips.picture(index) for index in range(frames)]), fps=2.0)
    session, alone = three.watch(video), engine.watch(video)
    same(session.ask(QUESTIONS[0], max_new_tokens=2), alone.ask(QUESTIONS[0], max_new_tokens=2))


def test_a_part_of_a_video(three, engine, film):
    options = {"start": 3.0, "end": 16.0, "max_frames": 20}
    same(
        three.watch(film, **options).ask(QUESTIONS[0], max_new_tokens=2),
        engine.watch(film, **options).ask(QUESTIONS[0], max_new_tokens=2),
    )


def test_the_disk_cache_of_one_device_serves_several(three, engine, film):
    """And what several have kept serves as many again; what is damaged there is watched again."""
    options = {"max_new_tokens": 2, "budget": 50}
    expected = engine.watch(film, cache="disk").ask(QUESTIONS[0], **options)
    own, three.disk = three.disk, engine.disk
    before = {path.name for path in engine.disk.root.iterdir()}
    reused = three.watch(film, cache="auto")
    assert reused.is_cached
    assert reused.timings == {"decode": 0, "watch": 0}
    same(reused.ask(QUESTIONS[0], **options), expected)
    assert {path.name for path in engine.disk.root.iterdir()} == before
    (whole,) = engine.disk.root.glob("*/past.bin")
    damage(whole)
    same(reused.ask(QUESTIONS[0], **options), expected)
    assert not whole.exists()
    assert three.watch(film, cache="disk").timings["watch"] > 0  # what was not damaged
    assert three.watch(film, cache="disk").timings["watch"] == 0

    three.disk = own
    assert three.watch(film, cache="disk").timings["watch"] > 0
    again = three.watch(film, cache="disk")
    assert again.timings["watch"] == 0
    for file in own.root.glob("*/past.bin"):
        damage(file)
    same(again.ask(QUESTIONS[0], **options), expected)
    same(three.watch(film, cache="disk").ask(QUESTIONS[0], **options), expected)


def test_what_does_not_fit_is_refused_before_it_is_watched(three, film, monkeypatch):
    three.disk.limit_bytes = 1000
    with pytest.raises(NoRoomError, match="limited to"):
        three.watch(film, cache="disk")
    monkeypatch.setattr("tempo.distributed.replica.available_bytes", lambda device: 10_000)
    with pytest.raises(NoRoomError, match=r"and 0\.0 MB are free"):
        three.watch(film, cache="host")
    session = three.watch(film, cache="auto", several=True)  # nowhere, in the end
    assert not session.is_cached
    assert session.ask(QUESTIONS[0], max_new_tokens=2).text


def test_what_nobody_asks_any_more_is_let_go(three, film):
    session = three.watch(film)
    replicas = [slot.replica for slot in three.pool.slots]
    session.ask(QUESTIONS[0], max_new_tokens=1)
    del session
    # It is let go in a thread of its own.
    assert wait_until(lambda: not any(replica.kept for replica in replicas))


def test_questions_are_forgotten_where_a_range_cannot_be_scored(three, film, monkeypatch):
    replicas = [slot.replica for slot in three.pool.slots]
    session = three.watch(film, cache="none")

    def fail(*arguments):
        wait_until(lambda: replicas[0].kept and replicas[2].kept)
        raise TempoError("no power")

    monkeypatch.setattr(replicas[1], "score", fail)
    with pytest.raises(TempoError, match="no power"):
        session.ask(QUESTIONS[0])
    assert wait_until(lambda: not any(replica.kept for replica in replicas))


@pytest.mark.parametrize("cache", ["host", "none"])
def test_progress_ends_with_all_frames(three, film, cache):
    moves = []
    session = three.watch(film, cache=cache, progress=lambda *move: moves.append(move))
    session.ask(QUESTIONS[0], max_new_tokens=1)
    assert moves[-1] == (len(session.sampling), len(session.sampling))


def test_what_is_on_disk_is_touched_and_may_be_evicted(three, film):
    session = three.watch(film, cache="disk")
    entries = list(three.disk.root.iterdir())
    assert len(entries) == 3
    for entry in entries:
        os.utime(entry, (0, 0))
    session.touch()
    assert all(entry.stat().st_mtime > 0 for entry in entries)
    assert not session.is_evicted
    shutil.rmtree(entries[1])
    assert session.is_evicted


def test_a_video_that_cannot_be_read_any_more_is_the_same_line(three, engine, film, tmp_path):
    lines = []
    for model in (engine, three):
        video = Video.open(shutil.copy(film, tmp_path / "film.mp4"))
        (tmp_path / "film.mp4").unlink()
        with pytest.raises(TempoError) as failed:
            model.watch(video)
        lines.append(str(failed.value))
    assert lines[0] == lines[1]


def test_a_model_on_several_devices_says_so(three: Tempo):
    assert ("watches on", "cpu, cpu, cpu") in three.facts
