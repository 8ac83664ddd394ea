"""What the page says to whatever stands in its fields; without a page."""

import json
import math

import pytest

from tempo.ui.access import Access
from tempo.ui.callbacks import Actions
from tempo.ui.clients import ClientSessions
from tempo.ui.examples import EXAMPLES, ExampleVideos


@pytest.fixture
def actions(nano, film, tmp_path):
    clients = ClientSessions(nano, tmp_path / "clients", max_open=2, max_queued=0)
    access = Access([film.parent], upload_bytes=10)
    yield Actions(clients, access, ExampleVideos(tmp_path / "examples"), max_frames=40)
    clients.close()


def last(changes):
    """What is shown in the end."""
    shown = {}
    for change in changes:
        shown |= change
    return shown


@pytest.fixture
def opened(actions, film):
    assert last(actions.open_path("page", str(film), None, None))["open_status"] == ""
    return actions


def ask(actions, *, question="What is there?", budget=60, longest=3, temperature=0, top_p=1, both=False):
    return last(actions.ask("page", question, budget, "adaptive", both, longest, temperature, top_p))


def test_opening_shows_the_film_and_sets_the_slider(actions, film):
    shown = last(actions.open_path("page", str(film), None, None))
    assert film.name in shown["player"]
    assert "40 frames watched" in shown["player"]  # no more than the operator allows
    assert shown["budget"] == {"minimum": 5, "maximum": 80, "value": 80, "interactive": True}
    assert shown["question"]["interactive"] is True


@pytest.mark.parametrize(
    ("fps", "frames", "words"),
    [
        (-1, None, "frames a second must be above 0"),
        (61, None, "frames a second must be above 0"),
        (math.nan, None, "frames a second must be above 0"),
        (None, -1, "frames at most must be a whole number of at least 1"),
        (None, 2.5, "frames at most must be a whole number of at least 1"),
        (None, 41, "this server watches at most 40 frames of a video"),
    ],
)
def test_frames_that_cannot_be_watched(actions, film, fps, frames, words):
    shown = last(actions.open_path("page", str(film), fps, frames))
    assert words in shown["open_status"]
    assert "player" not in shown


@pytest.mark.parametrize("path", [None, "", "\0", "\ud83d.mp4", ["a.mp4"], {"path": "a.mp4"}, 7])
def test_paths_that_are_none(actions, path):
    shown = last(actions.open_path("page", path, None, None))
    assert 'role="alert"' in shown["open_status"]
    assert "tempo itself" not in shown["open_status"]
    json.dumps(shown, ensure_ascii=False).encode()


def test_half_a_surrogate_pair_in_a_question_is_shown_and_answered(opened):
    """A browser cuts an emoji in two where the text is cut at so many characters."""
    for shown in opened.ask("page", "Where is the \ud83d?", 60, "adaptive", False, 3, 0, 1):
        json.dumps(shown, ensure_ascii=False).encode()  # what goes to the browser
    assert "Where is the ??" in shown["talk"]
    client = opened.clients.get_or_create("page")
    assert client.turns[-1].answer is not None


def test_keys_and_moments_in_addresses_may_be_anything(opened):
    for key in ("é", "\ud83d", "", "x" * 10_000):
        assert opened.clients.by_key(key) is None
    client = opened.clients.get_or_create("page")
    assert opened.clients.by_key(client.key) is client


def test_watching_again_with_other_frames(opened):
    assert "16 frames watched" in last(opened.watch_again("page", None, 16))["player"]
    assert "24 frames watched" in last(opened.watch_again("page", 1, None))["player"]
    assert "no video is open" in last(opened.watch_again("another", 1, None))["open_status"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"question": ""}, "the question is empty"),
        ({"question": None}, "the question is empty"),
        ({"budget": math.nan}, "the budget must be a number"),
        ({"longest": -1}, "the longest answer must be between 1 and"),
        ({"longest": 10**9}, "the longest answer must be between 1 and"),
        ({"temperature": -1}, "temperature must be between 0 and 10"),
        ({"top_p": 2}, "top-p must be between 0.01 and 1"),
    ],
)
def test_what_cannot_be_asked_is_said_and_the_question_stays(opened, options, words):
    shown = ask(opened, **options)
    assert words in shown["ask_status"]
    assert 'role="alert"' in shown["ask_status"]
    assert shown["question"] == {
        "value": (options.get("question", "What is there?") or ""),
        "interactive": True,
    }
    assert shown["stop"] == {"visible": False}
    assert shown["ask"]["visible"] is True


@pytest.mark.parametrize("empty", [None, 0])
def test_an_empty_field_means_what_is_usual(actions, film, empty):
    """Gradio sends None for a field that was never touched, and 0 for one that was emptied."""
    shown = last(actions.open_path("page", str(film), empty, empty))
    assert shown["open_status"] == ""
    assert "40 frames watched" in shown["player"]
    answered = ask(actions, budget=empty, longest=empty, temperature=empty, top_p=empty)
    assert answered["ask_status"] == ""
    assert "budget of <b>80</b>" in answered["allocation"]


def test_a_question_that_something_else_interrupts_gives_the_button_back(opened, film):
    for interrupt in (
        lambda: opened.open_path("page", str(film), None, 16),
        lambda: opened.compare("page", 60, "uniform", False),
    ):
        ask(opened)
        asking = opened.ask("page", "Which way does it move?", 60, "adaptive", False, 200, 0, 1)
        shown = next(asking)
        assert shown["ask"] == {"visible": False}
        shown |= next(asking)
        list(interrupt())
        shown |= last(asking)
        assert shown["ask"]["visible"] is True
        assert shown["stop"] == {"visible": False}
        assert shown["question"]["interactive"] is True


def test_a_budget_beyond_the_limits_is_the_nearest_that_can_be(opened):
    for given, used in ((1, 5), (10**9, 80)):
        assert f"budget of <b>{used}</b>" in ask(opened, budget=given)["allocation"]
        assert f"budget of <b>{used}</b>" in opened.redraw("page", given, "uniform")["allocation"]


def test_nothing_is_shared_out_before_anything_was_asked(opened):
    assert "Ask a question" in opened.redraw("page", 20, "uniform")["allocation"]
    assert list(opened.compare("page", 20, "uniform", True)) == []
    assert opened.redraw("another", 20, "uniform") == {}


def test_one_answer_or_both(opened):
    assert ask(opened)["variants"].count("not answered yet") == 1
    assert ask(opened, both=True)["variants"].count("not answered yet") == 0


def test_starting_over_forgets_the_conversation_and_keeps_the_film(opened):
    ask(opened)
    shown = opened.forget("page")
    assert "What is there?" not in shown["talk"]
    assert opened.clients.get_or_create("page").open_video is not None
    assert "What is there?" in ask(opened)["talk"]


def test_whoever_comes_while_too_many_wait_is_told(opened):
    ticket = opened.clients.request_queue.join()
    assert "try again in a minute" in ask(opened)["ask_status"]
    ticket.leave()
    assert ask(opened)["ask_status"] == ""


def test_a_fault_is_said_without_its_details(opened, monkeypatch, capsys):
    def broken(*_, **__):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(opened.clients.get_or_create("page").open_video.session, "stream_after", broken)
    shown = ask(opened)
    assert "something went wrong in tempo itself" in shown["ask_status"]
    assert "secret detail" not in str(shown)
    assert "secret detail" in capsys.readouterr().err


@pytest.mark.slow
def test_every_example_offers_questions(actions):
    for example in EXAMPLES[::2]:
        shown = last(actions.open_example("page", example, None, None))
        assert shown["open_status"] == ""
        assert shown["suggestions"].count("data-ask") >= 2
