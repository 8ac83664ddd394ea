"""What one visitor does, and all visitors together; without a page."""

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
from tempo.ui.client import Source, Watching
from tempo.ui.clients import Visits
from tempo.ui.export import picture, to_json
from tempo.ui.jobs import Stopped
from tempo.ui.turns import Setting, Text

WRITING = {"max_new_tokens": 4}


@pytest.fixture
def visits(nano, tmp_path):
    visits = Visits(nano, tmp_path / "visits", most_open=2, most_waiting=4)
    yield visits
    visits.close()


def open_film(visit, path: Path, **options):
    return list(visit.open(lambda report: Source(path, path.name), **options))


def ask(visit, question, setting):
    return list(visit.ask(question, setting, WRITING))


@pytest.fixture
def visit(visits, film):
    visit = visits.arrive("page")
    open_film(visit, film)
    return visit


def test_watching_tells_how_far_it_is(visits, film):
    visit = visits.arrive("page")
    told = [event for event in open_film(visit, film) if isinstance(event, Watching)]
    assert told
    assert [event.done for event in told] == sorted(event.done for event in told)
    assert (told[-1].done, told[-1].total) == (48, 48)
    assert visit.film is not None
    assert visit.film.title == "my film.mp4"
    assert [(span.start, span.end) for span in visit.film.spans] == [(i * 4, i * 4 + 4) for i in range(6)]
    assert not visit.is_busy


def test_a_file_that_takes_long_to_open_keeps_nobody_from_the_model(visits, film):
    """Who opens it is told that it goes on, and whoever leaves is not waited for."""
    slow, ended = visits.arrive("slow"), threading.Event()

    def find(report):
        ended.wait()
        return Source(film, film.name)

    opening = slow.open(find)
    next(opening)
    other = visits.arrive("other")
    open_film(other, film)
    ask(other, "What is there?", Setting(60, True))
    assert slow.is_busy
    visits.leave("slow")
    with pytest.raises(Stopped):
        list(opening)
    ended.set()


def test_the_answer_is_the_sessions_own_and_comes_in_pieces(visit, film):
    setting = Setting(60, True)
    pieces = [event.text for event in ask(visit, "What is there?", setting) if isinstance(event, Text)]
    alone = visit.model.watch(film).ask("What is there?", budget=60, **WRITING)
    assert visit.turns[0].answer.text == alone.text == pieces[-1]
    assert all(later.startswith(earlier) for earlier, later in pairwise(pieces))


def test_tokens_are_known_before_the_answer_is(visit):
    first = Setting(60, True)
    assert visit.tokens(first) is None
    ask(visit, "What is there?", first)
    for setting in (first, first.other, Setting(7, True), Setting(31, False)):
        told = visit.tokens(setting)
        list(visit.compare(setting, both=False))
        answer = visit.turns[-1].answer
        assert told == [segment.tokens for segment in answer.segments]
        assert answer.budget == setting.budget >= sum(told)


def test_both_ways_are_answered_once(visit):
    setting = Setting(12, True)
    ask(visit, "What is there?", setting)
    first = visit.turns[-1].answer
    list(visit.compare(setting))
    turn = visit.turns[-1]
    assert set(turn.answers) == {setting, setting.other}
    assert turn.answers[setting] is first
    assert list(visit.compare(setting.other)) == []  # nothing to be computed
    assert turn.answer is turn.answers[setting.other]


def test_later_questions_see_the_answers_that_are_shown(visit, film):
    setting = Setting(60, True)
    ask(visit, "What is there?", setting)
    list(visit.compare(setting.other))
    shown = visit.turns[0].answer.text
    ask(visit, "And then?", setting)
    assert visit.turns[1].earlier == (("What is there?", shown),)
    session = visit.model.watch(film)
    expected = session.stream_after([("What is there?", shown)], "And then?", budget=60, **WRITING).answer
    assert visit.turns[1].answer.text == expected.text


def test_a_failure_loses_nothing(visit, film, tmp_path):
    setting = Setting(60, True)
    ask(visit, "What is there?", setting)
    (tmp_path / "text.mp4").write_text("This is no video.\n" * 100)
    with pytest.raises(TempoError, match=r"^text\.mp4: ") as error:
        open_film(visit, tmp_path / "text.mp4")
    assert str(tmp_path) not in str(error.value)
    with pytest.raises(TempoError, match="budget"):
        ask(visit, "And then?", Setting(3, True))
    assert visit.film.path == film
    assert [turn.question for turn in visit.turns] == ["What is there?"]
    ask(visit, "And then?", setting)


def test_an_uploaded_file_is_removed_with_what_it_was_for(visits, film, tmp_path):
    visit = visits.arrive("page")

    def upload(name: str, data: bytes) -> Path:
        (tmp_path / name).write_bytes(data)
        return visit.adopt(tmp_path / name)

    good = upload("a.mp4", film.read_bytes())
    open_film(visit, good)
    bad = upload("a.mp4.bad.mp4", b"no video")
    with pytest.raises(TempoError):
        open_film(visit, bad)
    assert good.exists()
    assert not bad.exists()
    open_film(visit, upload("b.mp4", film.read_bytes()))
    assert not good.exists()
    last = visit.film.path
    visits.leave("page")
    assert not last.exists()
    assert (tmp_path / "a.mp4").exists()  # whoever uploaded the same has it still


def test_a_visitor_who_leaves_ends_the_work(visits, film):
    visit = visits.arrive("page")
    events = visit.open(lambda report: Source(film, "film"))
    next(events)
    visits.leave("page")
    with pytest.raises(Stopped):
        list(events)
    wait_until(lambda: len(visits.line) == 0)
    with pytest.raises(Stopped):
        ask(visit, "Anybody?", Setting(60, True))


def test_the_next_request_ends_the_one_before(visit):
    first = visit.ask("What is there?", Setting(60, True), {"max_new_tokens": 200})
    next(first)
    ask(visit, "And now?", Setting(60, True))
    with pytest.raises(Stopped):
        list(first)
    assert [turn.question for turn in visit.turns] == ["And now?"]


def test_two_visitors_at_once_get_their_own_answers(visits, film):
    answers = {}

    def come(name: str, question: str) -> None:
        visit = visits.arrive(name)
        open_film(visit, film)
        ask(visit, question, Setting(60, True))
        answers[name] = (visit.turns[0].question, visit.turns[0].answer.text)

    questions = {"one": "What is there?", "two": "Which way does it move?"}
    threads = [threading.Thread(target=come, args=pair) for pair in questions.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=300)
    session = visits.model.watch(film)
    for name, question in questions.items():
        alone = session.ask(question, budget=60, **WRITING)
        assert answers[name] == (question, alone.text)


def test_the_one_unused_for_longest_makes_place(visits, film):
    first, second, third = (visits.arrive(name) for name in ("one", "two", "three"))
    for visit in (first, second):
        visits.make_place(visit)
        open_film(visit, film)
    ask(first, "What is there?", Setting(60, True))  # the second is the one unused for longest now
    visits.make_place(third)
    assert first.film is not None
    assert second.film is None
    with pytest.raises(TempoError, match="let go to make room for other visitors; open it again"):
        ask(second, "Still there?", Setting(60, True))
    open_film(third, film)
    visits.make_place(third)  # it has its place
    assert first.film is not None


def test_only_what_can_be_read_takes_a_place(visits, film, tmp_path):
    first, second, third = (visits.arrive(name) for name in ("one", "two", "three"))
    for visit in (first, second):
        open_film(visit, film, room=visits.room_for(visit))
    (tmp_path / "text.mp4").write_text("This is no video.\n" * 100)
    with pytest.raises(TempoError):
        open_film(third, tmp_path / "text.mp4", room=visits.room_for(third))
    assert first.film is not None
    open_film(third, film, room=visits.room_for(third))
    assert (first.film, second.film is None) == (None, False)


def test_nobody_is_let_go_who_is_at_work(visits, film):
    for name in ("one", "two"):
        visit = visits.arrive(name)
        open_film(visit, film)
        visit._begin()
    with pytest.raises(TempoError, match="try again in a minute"):
        visits.make_place(visits.arrive("three"))


def test_keys_are_found_and_not_guessed(visits):
    visit = visits.arrive("page")
    assert visits.arrive("page") is visit
    assert visits.with_key(visit.key) is visit
    assert visits.with_key("page") is None
    assert len(visit.key) > 20


def test_many_who_only_look_are_forgotten(visits, film, monkeypatch):
    monkeypatch.setattr("tempo.ui.clients.LONGEST_UNUSED", 3)
    open_film(visits.arrive("mine"), film)
    others = [visits.arrive(str(number)) for number in range(5)]
    assert visits.arrive("mine").film is not None
    assert [other.closed for other in others] == [True, True, True, False, False]


def test_frames_are_those_of_the_file(visit):
    for seconds in (0.0, 10.0, 23.9):
        frame = Image.open(BytesIO(visit.film.frames.jpeg(seconds)))
        pixels = np.asarray(frame.convert("RGB"))
        assert clips.index_of(pixels) == int(seconds * 8)
    assert visit.film.frames.jpeg(1e9) is not None  # the last one


def test_exports(visit, film):
    setting = Setting(24, True)
    for export in (to_json, picture):
        with pytest.raises(TempoError, match="nothing was asked yet"):
            export(visit)
    ask(visit, "What is there?", setting)
    list(visit.compare(setting))
    found = json.loads(json.dumps(to_json(visit), allow_nan=False))
    assert str(film.parent) not in json.dumps(found)
    (turn,) = found["turns"]
    assert (turn["question"], turn["shown"]) == ("What is there?", {"budget": 24, "adaptive": True})
    assert [answer["adaptive"] for answer in turn["answers"]] == [True, False]
    for answer in turn["answers"]:
        assert sum(segment["tokens"] for segment in answer["segments"]) == answer["visual_tokens"] <= 24
        assert answer["timings"]["total"] > 0
        assert answer["peak_memory_bytes"] > 0
    visit.turns[-1].setting = Setting(30, True)  # whose answer is still to be written
    assert to_json(visit)["turns"][0]["shown"] is None
    visit.turns[-1].setting = setting
    image = Image.open(BytesIO(picture(visit)))
    assert image.format == "PNG"
    assert image.width >= 800


def wait_until(true, seconds=30.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
