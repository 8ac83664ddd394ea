"""Every way is what `Session.ask` does, where it can do it; and elsewhere what it does with other words."""

import json

import pytest

from research.ablations.asking import Film, ask
from research.ablations.variants import (
    ADAPTIVE,
    NEUTRAL,
    Way,
    budget_of,
    every_way,
)


@pytest.fixture(scope="module")
def film(nano, films):
    return Film.watch(nano, films / "a-000.mp4")


@pytest.fixture(scope="module")
def session(nano, films):
    return nano.watch(films / "a-000.mp4")


@pytest.fixture(scope="module")
def question(films):
    return json.loads((films / "a-000.json").read_text())["questions"][0]["text"]


def plain(session, question, way, **more):
    """(text, tokens) of the same by the library's own way."""
    segments = -(-len(session.sampling) // 8)
    cap = budget_of(way, segments, k_max=16, own=session.engine.config.visual_token_budget)
    options = {"budget": cap, "adaptive": way.spread == "adaptive", "keep": way.keep, "max_new_tokens": 16}
    answer = session.ask(question, **options | more)
    return answer.text, answer.usage.visual_tokens, cap


def test_ways_that_the_library_has_are_the_librarys(film, session, question):
    ways = [way for way in every_way(16) if way.spread in ("adaptive", "uniform") and way.asked and way.timed]
    assert len(ways) >= 14
    distilled, told = ask(film, question, ways, seed="a")
    for way, one in zip(ways, told, strict=True):
        assert (one.text, one.tokens, one.cap) == plain(session, question, way), way.name
    routed = [segment.relevance for segment in session.route(question)]
    assert [one.relevance for one in distilled] == pytest.approx(routed, abs=1e-5)


def test_without_times_is_a_storyline_whose_timestamps_are_empty(film, session, question, monkeypatch):
    told = ask(film, question, [Way(timed=False)], seed="a")[1][0]
    monkeypatch.setattr(session.engine.prompts, "timestamp", lambda seconds: [])
    assert (told.text, told.tokens, told.cap) == plain(session, question, ADAPTIVE)


def test_without_the_question_the_compressor_reads_the_neutral_one(film, session, question, monkeypatch):
    uniform = Way(spread="uniform", share=1 / 4, asked=False)
    distilled, told = ask(film, question, [uniform, Way(asked=False), ADAPTIVE], seed="a")
    # The routing stays that of the question.
    assert told[1].tokens == told[2].tokens
    neutral = session.engine.prompts.question(NEUTRAL)
    monkeypatch.setattr(session.engine.prompts, "question", lambda asked, earlier=(): neutral)
    # Uniform allocation does not look at relevance, so here the library can do the same.
    assert (told[0].text, told[0].tokens, told[0].cap) == plain(session, question, uniform)
    assert [one.relevance for one in distilled] != [s.relevance for s in session.route(question)]


def test_equal_storylines_are_read_once_and_told_apart_by_their_caps(film, question):
    ways = [Way(spread="uniform", share=1.0), Way(spread="uniform", share=1.0, keep="tail")]
    told = ask(film, question, ways, seed="a")[1]
    segments = len(film.neutral)
    assert [one.tokens for one in told] == [16 * segments] * 2
    # All tokens of a segment are the same ones from either end.
    assert told[0].text == told[1].text
