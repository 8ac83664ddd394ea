"""The session of one page, and all sessions together; without a page."""

import json
import threading
import time
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import clips
from tempo.errors import TempoError
from tempo.ui.client import VideoSource, WatchProgress
from tempo.ui.clients import ClientSessions
from tempo.ui.export import picture, to_json
from tempo.ui.jobs import Stopped
from tempo.ui.turns import PartialAnswer, Variant

GENERATION = {"max_new_tokens": 4}


@pytest.fixture
def clients(nano, tmp_path):
    clients = ClientSessions(nano, tmp_path / "clients", max_open=2, max_queued=4)
    yield clients
    clients.close()


def open_video(client, path: Path, **options):
    return list(client.open(lambda report: VideoSource(path, path.name), **options))


def ask(client, question, variant):
    return list(client.ask(question, variant, GENERATION))


@pytest.fixture
def client(clients, film):
    client = clients.get_or_create("page")
    open_video(client, film)
    return client


def test_watching_tells_how_far_it_is(clients, film):
    client = clients.get_or_create("page")
    told = [event for event in open_video(client, film) if isinstance(event, WatchProgress)]
    assert told
    assert [event.done for event in told] == sorted(event.done for event in told)
    assert (told[-1].done, told[-1].total) == (48, 48)
    assert client.open_video is not None
    assert client.open_video.title == "my film.mp4"
    assert [(span.start, span.end) for span in client.open_video.spans] == [
        (i * 4, i * 4 + 4) for i in range(6)
    ]
    assert not client.is_busy


def test_a_file_that_takes_long_to_open_keeps_nobody_from_the_model(clients, film):
    """Who opens it is told that it goes on, and whoever leaves is not waited for."""
    slow, ended = clients.get_or_create("slow"), threading.Event()

    def find(report):
        ended.wait()
        return VideoSource(film, film.name)

    opening = slow.open(find)
    next(opening)
    other = clients.get_or_create("other")
    open_video(other, film)
    ask(other, "What is there?", Variant(60, True))
    assert slow.is_busy
    clients.remove("slow")
    with pytest.raises(Stopped):
        list(opening)
    ended.set()


def test_the_answer_is_the_sessions_own_and_comes_in_pieces(client, film):
    variant = Variant(60, True)
    pieces = [
        event.text for event in ask(client, "What is there?", variant) if isinstance(event, PartialAnswer)
    ]
    alone = client.model.watch(film).ask("What is there?", budget=60, **GENERATION)
    assert client.turns[0].answer.text == alone.text == pieces[-1]
    assert all(later.startswith(earlier) for earlier, later in pairwise(pieces))


def test_tokens_are_known_before_the_answer_is(client):
    first = Variant(60, True)
    assert client.tokens(first) is None
    ask(client, "What is there?", first)
    for variant in (first, first.other, Variant(7, True), Variant(31, False)):
        told = client.tokens(variant)
        list(client.compare(variant, both=False))
        answer = client.turns[-1].answer
        assert told == [segment.tokens for segment in answer.segments]
        assert answer.budget == variant.budget >= sum(told)


def test_both_variants_are_answered_once(client):
    variant = Variant(12, True)
    ask(client, "What is there?", variant)
    first = client.turns[-1].answer
    list(client.compare(variant))
    turn = client.turns[-1]
    assert set(turn.answers) == {variant, variant.other}
    assert turn.answers[variant] is first
    assert list(client.compare(variant.other)) == []  # nothing to be computed
    assert turn.answer is turn.answers[variant.other]


def test_later_questions_see_the_answers_that_are_shown(client, film):
    variant = Variant(60, True)
    ask(client, "What is there?", variant)
    list(client.compare(variant.other))
    shown = client.turns[0].answer.text
    ask(client, "And then?", variant)
    assert client.turns[1].earlier == (("What is there?", shown),)
    session = client.model.watch(film)
    expected = session.stream_after([("What is there?", shown)], "And then?", budget=60, **GENERATION).answer
    assert client.turns[1].answer.text == expected.text


def test_a_failure_loses_nothing(client, film, tmp_path):
    variant = Variant(60, True)
    ask(client, "What is there?", variant)
    (tmp_path / "text.mp4").write_text("This is no video.\n" * 100)
    with pytest.raises(TempoError, match=r"^text\.mp4: ") as error:
        open_video(client, tmp_path / "text.mp4")
    assert str(tmp_path) not in str(error.value)
    with pytest.raises(TempoError, match="budget"):
        ask(client, "And then?", Variant(3, True))
    assert client.open_video.path == film
    assert [turn.question for turn in client.turns] == ["What is there?"]
    ask(client, "And then?", variant)


def test_an_uploaded_file_is_removed_with_what_it_was_for(clients, film, tmp_path):
    client = clients.get_or_create("page")

    def upload(name: str, data: bytes) -> Path:
        (tmp_path / name).write_bytes(data)
        return client.adopt(tmp_path / name)

    good = upload("a.mp4", film.read_bytes())
    open_video(client, good)
    bad = upload("a.mp4.bad.mp4", b"no video")
    with pytest.raises(TempoError):
        open_video(client, bad)
    assert good.exists()
    assert not bad.exists()
    open_video(client, upload("b.mp4", film.read_bytes()))
    assert not good.exists()
    last = client.open_video.path
    clients.remove("page")
    assert not last.exists()
    assert (tmp_path / "a.mp4").exists()  # whoever uploaded the same has it still


def test_a_visitor_who_leaves_ends_the_work(clients, film):
    client = clients.get_or_create("page")
    events = client.open(lambda report: VideoSource(film, "film"))
    next(events)
    clients.remove("page")
    with pytest.raises(Stopped):
        list(events)
    wait_until(lambda: len(clients.request_queue) == 0)
    with pytest.raises(Stopped):
        ask(client, "Anybody?", Variant(60, True))


def test_the_next_request_ends_the_one_before(client):
    first = client.ask("What is there?", Variant(60, True), {"max_new_tokens": 200})
    next(first)
    ask(client, "And now?", Variant(60, True))
    with pytest.raises(Stopped):
        list(first)
    assert [turn.question for turn in client.turns] == ["And now?"]


def test_two_visitors_at_once_get_their_own_answers(clients, film):
    answers = {}

    def come(name: str, question: str) -> None:
        client = clients.get_or_create(name)
        open_video(client, film)
        ask(client, question, Variant(60, True))
        answers[name] = (client.turns[0].question, client.turns[0].answer.text)

    questions = {"one": "What is there?", "two": "Which way does it move?"}
    threads = [threading.Thread(target=come, args=pair) for pair in questions.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=300)
    session = clients.model.watch(film)
    for name, question in questions.items():
        alone = session.ask(question, budget=60, **GENERATION)
        assert answers[name] == (question, alone.text)


def test_the_one_unused_for_longest_makes_place(clients, film):
    first, second, third = (clients.get_or_create(name) for name in ("one", "two", "three"))
    for client in (first, second):
        clients.admit(client)
        open_video(client, film)
    ask(first, "What is there?", Variant(60, True))  # the second is the one unused for longest now
    clients.admit(third)
    assert first.open_video is not None
    assert second.open_video is None
    with pytest.raises(TempoError, match="closed to make room for other sessions; open it again"):
        ask(second, "Still there?", Variant(60, True))
    open_video(third, film)
    clients.admit(third)  # it has its place
    assert first.open_video is not None


def test_only_what_can_be_read_takes_a_place(clients, film, tmp_path):
    first, second, third = (clients.get_or_create(name) for name in ("one", "two", "three"))
    for client in (first, second):
        open_video(client, film, admission=clients.admission_for(client))
    (tmp_path / "text.mp4").write_text("This is no video.\n" * 100)
    with pytest.raises(TempoError):
        open_video(third, tmp_path / "text.mp4", admission=clients.admission_for(third))
    assert first.open_video is not None
    open_video(third, film, admission=clients.admission_for(third))
    assert (first.open_video, second.open_video is None) == (None, False)


def test_nobody_is_let_go_who_is_at_work(clients, film):
    for name in ("one", "two"):
        client = clients.get_or_create(name)
        open_video(client, film)
        client._begin()
    with pytest.raises(TempoError, match="try again in a minute"):
        clients.admit(clients.get_or_create("three"))


def test_keys_are_found_and_not_guessed(clients):
    client = clients.get_or_create("page")
    assert clients.get_or_create("page") is client
    assert clients.by_key(client.key) is client
    assert clients.by_key("page") is None
    assert len(client.key) > 20


def test_many_who_only_look_are_forgotten(clients, film, monkeypatch):
    monkeypatch.setattr("tempo.ui.clients.MAX_IDLE_SESSIONS", 3)
    open_video(clients.get_or_create("mine"), film)
    others = [clients.get_or_create(str(number)) for number in range(5)]
    assert clients.get_or_create("mine").open_video is not None
    assert [other.closed for other in others] == [True, True, True, False, False]


def test_frames_are_those_of_the_file(client):
    for seconds in (0.0, 10.0, 23.9):
        frame = Image.open(BytesIO(client.open_video.frames.jpeg(seconds)))
        pixels = np.asarray(frame.convert("RGB"))
        assert clips.index_of(pixels) == int(seconds * 8)
    assert client.open_video.frames.jpeg(1e9) is not None  # the last one


def test_exports(client, film):
    variant = Variant(24, True)
    for export in (to_json, picture):
        with pytest.raises(TempoError, match="nothing was asked yet"):
            export(client)
    ask(client, "What is there?", variant)
    list(client.compare(variant))
    found = json.loads(json.dumps(to_json(client), allow_nan=False))
    assert str(film.parent) not in json.dumps(found)
    (turn,) = found["turns"]
    assert (turn["question"], turn["shown"]) == ("What is there?", {"budget": 24, "adaptive": True})
    assert [answer["adaptive"] for answer in turn["answers"]] == [True, False]
    for answer in turn["answers"]:
        assert sum(segment["tokens"] for segment in answer["segments"]) == answer["visual_tokens"] <= 24
        assert answer["timings"]["total"] > 0
        assert answer["peak_memory_bytes"] > 0
    client.turns[-1].variant = Variant(30, True)  # whose answer is still to be written
    assert to_json(client)["turns"][0]["shown"] is None
    client.turns[-1].variant = variant
    image = Image.open(BytesIO(picture(client)))
    assert image.format == "PNG"
    assert image.width >= 800


def wait_until(true, seconds=30.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
