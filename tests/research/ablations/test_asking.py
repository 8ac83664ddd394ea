"""Every variant equals `Session.ask` where that can do it, and elsewhere `ask` with other words."""

import json

import pytest

from research.ablations.asking import WatchedVideo, ask
from research.ablations.variants import (
    ADAPTIVE,
    NEUTRAL,
    Variant,
    budget_of,
    every_variant,
)


@pytest.fixture(scope="module")
def watched(nano, films):
    return WatchedVideo.watch(nano, films / "a-000.mp4")


@pytest.fixture(scope="module")
def session(nano, films):
    return nano.watch(films / "a-000.mp4")


@pytest.fixture(scope="module")
def question(films):
    return json.loads((films / "a-000.json").read_text())["questions"][0]["text"]


def plain(session, question, variant, **more):
    """(text, tokens) of the same by the library itself."""
    segments = -(-len(session.sampling) // 8)
    cap = budget_of(variant, segments, k_max=16, own=session.engine.config.visual_token_budget)
    options = {
        "budget": cap,
        "adaptive": variant.spread == "adaptive",
        "keep": variant.keep,
        "max_new_tokens": 16,
    }
    answer = session.ask(question, **options | more)
    return answer.text, answer.usage.visual_tokens, cap


def test_variants_that_the_library_has_are_the_librarys(watched, session, question):
    variants = [
        variant
        for variant in every_variant(16)
        if variant.spread in ("adaptive", "uniform") and variant.asked and variant.timed
    ]
    assert len(variants) >= 14
    compressed, answers = ask(watched, question, variants, seed="a")
    for variant, one in zip(variants, answers, strict=True):
        assert (one.text, one.tokens, one.cap) == plain(session, question, variant), variant.name
    routed = [segment.relevance for segment in session.route(question)]
    assert [one.relevance for one in compressed] == pytest.approx(routed, abs=1e-5)


def test_without_times_is_a_storyline_whose_timestamps_are_empty(watched, session, question, monkeypatch):
    answer = ask(watched, question, [Variant(timed=False)], seed="a")[1][0]
    monkeypatch.setattr(session.engine.prompts, "timestamp", lambda seconds: [])
    assert (answer.text, answer.tokens, answer.cap) == plain(session, question, ADAPTIVE)


def test_without_the_question_the_compressor_reads_the_neutral_one(watched, session, question, monkeypatch):
    uniform = Variant(spread="uniform", share=1 / 4, asked=False)
    compressed, answers = ask(watched, question, [uniform, Variant(asked=False), ADAPTIVE], seed="a")
    # The routing stays that of the question.
    assert answers[1].tokens == answers[2].tokens
    neutral = session.engine.prompts.question(NEUTRAL)
    monkeypatch.setattr(session.engine.prompts, "question", lambda asked, earlier=(): neutral)
    # Uniform allocation does not look at relevance, so here the library can do the same.
    assert (answers[0].text, answers[0].tokens, answers[0].cap) == plain(session, question, uniform)
    assert [one.relevance for one in compressed] != [s.relevance for s in session.route(question)]


def test_equal_storylines_are_read_once_and_told_apart_by_their_caps(watched, question):
    variants = [Variant(spread="uniform", share=1.0), Variant(spread="uniform", share=1.0, keep="tail")]
    answers = ask(watched, question, variants, seed="a")[1]
    segments = len(watched.neutral)
    assert [one.tokens for one in answers] == [16 * segments] * 2
    # All tokens of a segment are the same ones from either end.
    assert answers[0].text == answers[1].text
