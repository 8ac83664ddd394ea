"""Many questions at once get the answers that they get one by one."""

import numpy as np
import pytest
import torch

import tempo
from reference_cases import CASES, video_of
from tempo.errors import TempoError, UsageError
from tempo.inference.generation import DecodeBatch

CASE = CASES["wide_partial_segment"]
QUESTIONS = [CASE.query, "Is there a star?", "What is it, and where does it go in the end?", CASE.query]


@pytest.fixture
def watched(monkeypatch):
    """How often a video was streamed."""
    streams = []
    stream = tempo.Video.stream

    def counted(self, *arguments, **options):
        streams.append(self)
        return stream(self, *arguments, **options)

    monkeypatch.setattr(tempo.Video, "stream", counted)
    return streams


@pytest.fixture
def steps(monkeypatch):
    """How many answers each step of the decoder wrote a token of."""
    sizes = []
    step = DecodeBatch.step

    def counted(self):
        rows = step(self)
        sizes.append(len(rows))
        return rows

    monkeypatch.setattr(DecodeBatch, "step", counted)
    return sizes


@pytest.mark.parametrize("cache", ["none", "device", "disk"])
def test_answers_equal_those_of_one_by_one(engine, tmp_path, cache, watched):
    session = engine.watch(video_of(CASE, tmp_path), cache=cache)
    single = [session.ask(question, max_new_tokens=12, budget=40) for question in QUESTIONS]
    before = len(watched)
    many = session.ask_many(iter(QUESTIONS), max_new_tokens=12, budget=40)
    assert len(watched) - before == (1 if cache == "none" else 0)  # watched once for all
    assert [answer.question for answer in many] == QUESTIONS
    for one, other in zip(single, many, strict=True):
        assert one.token_ids == other.token_ids
        assert [s.tokens for s in one.segments] == [s.tokens for s in other.segments]
        relevance = torch.tensor([[s.relevance for s in answer.segments] for answer in (one, other)])
        torch.testing.assert_close(relevance[0], relevance[1], atol=1e-5, rtol=0)
        assert one.video == other.video
    assert many[0].token_ids == many[3].token_ids
    if cache == "none":
        assert many[0].usage.timings["watch"] > 0
        assert [answer.usage.timings["watch"] for answer in many[1:]] == [0, 0, 0]
        phases = [value for name, value in many[1].usage.timings.items() if name != "total"]
        assert many[1].usage.timings["total"] == pytest.approx(sum(phases))


@pytest.mark.parametrize("cache", ["none", "device", "disk"])
def test_answers_are_written_side_by_side(engine, tmp_path, cache, steps):
    session = engine.watch(video_of(CASE, tmp_path), cache=cache)
    alone = [len(session.ask(question, max_new_tokens=12).token_ids) for question in QUESTIONS]
    steps.clear()
    together = session.ask_many(QUESTIONS, max_new_tokens=12)
    assert [len(answer.token_ids) for answer in together] == alone
    assert sum(steps) == sum(alone)
    assert len(steps) < max(alone) + len(alone) < sum(alone)  # each begins a token after the one before
    assert max(steps) == len(QUESTIONS)


def test_answers_that_memory_is_short_for_are_written_one_after_the_other(
    engine, tmp_path, steps, monkeypatch
):
    session = engine.watch(video_of(CASE, tmp_path))
    together = session.ask_many(QUESTIONS, max_new_tokens=6)
    steps.clear()
    monkeypatch.setattr("tempo.inference.answer_batch.available_bytes", lambda device: 1)
    alone = session.ask_many(QUESTIONS, max_new_tokens=6)
    assert [answer.token_ids for answer in alone] == [answer.token_ids for answer in together]
    assert max(steps) == 1


def test_segments_are_compressed_for_several_questions_at_once(engine, tmp_path, monkeypatch):
    sizes = []
    compress = type(engine.model.compressor).compress

    def counted(self, state, count):
        sizes.append(len(state.cache.data))
        return compress(self, state, count)

    monkeypatch.setattr(type(engine.model.compressor), "compress", counted)
    session = engine.watch(video_of(CASE, tmp_path))
    session.ask_many(QUESTIONS, max_new_tokens=1)
    segments = sum(len(entry.segments) for entry in session.entries)
    assert sum(sizes) == segments * len(QUESTIONS)
    assert max(sizes) > max(len(entry.segments) for entry in session.entries)


def test_what_does_not_fit_together_is_watched_for_again(engine, tmp_path, monkeypatch, watched):
    session = engine.watch(video_of(CASE, tmp_path), cache="none")
    together = session.ask_many(QUESTIONS[:3], max_new_tokens=4)
    before = len(watched)
    monkeypatch.setattr("tempo.inference.memory_plan.available_bytes", lambda device: 1)
    assert [a.text for a in session.ask_many(QUESTIONS[:3], max_new_tokens=4)] == [a.text for a in together]
    assert len(watched) - before == 3


def test_everything_is_checked_before_anything_is_computed(engine, tmp_path, watched):
    session = engine.watch(video_of(CASE, tmp_path), cache="none")
    with pytest.raises(TempoError, match="the question is empty"):
        session.ask_many(["What is it?", " "])
    with pytest.raises(UsageError, match="max_new_tokens"):
        session.ask_many(["What is it?"], max_new_tokens=0)
    with pytest.raises(UsageError, match="takes a list of questions"):
        session.ask_many("What is it?")
    assert session.ask_many([]) == []
    assert watched == []


def test_progress_counts_questions(engine):
    frames = np.zeros((8, 32, 32, 3), np.uint8)
    session = engine.watch(tempo.Video.from_frames(frames, fps=2.0))
    told = []
    session.ask_many(["What?", "Where?"], progress=lambda *now: told.append(now), max_new_tokens=1)
    assert told == [(1, 2), (2, 2)]
