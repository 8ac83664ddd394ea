"""The API of the page over HTTP, without a browser: what visitors get, and what they do not."""

import json
import re
import time
from io import BytesIO
from itertools import pairwise
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from PIL import Image

import clips
from tempo.inference.phase_timer import PHASES
from tempo.ui import client_sessions
from tempo.ui.server import STATIC
from tempo.ui.turns import Variant
from ui_client import Client

SHORT = {"max_new_tokens": 4}


@pytest.fixture(scope="module")
def server(serve, film):
    return serve(library=(film.parent,), upload_bytes=3_000_000, max_frames=40, max_queued=4)


@pytest.fixture
def client(server):
    with Client(server.url) as client:
        yield client


@pytest.fixture
def video(client, film):
    """An uploaded film, ready for questions."""
    return client.open(upload=client.upload(film))["video"]


def session_of(server, client):
    return server.actions.sessions.get(client.key)


def wait_until(true, seconds=60.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


# --- opening and asking -------------------------------------------------------------------------------------


def test_watching_tells_how_far_it_is_and_what_was_watched(client, film):
    events = client.events("videos", {"upload": client.upload(film)})
    assert [name for name, _ in events][:1] == ["opened"]
    done = [data["done"] for name, data in events if name == "watching"]
    assert done == sorted(done)
    assert 0 < done[0] <= done[-1] <= 40
    name, last = events[-1]
    watched = last["video"]["watched"]
    assert (name, watched["frames"], len(watched["starts"])) == ("ready", 40, 5)  # the operator's limit
    assert last["video"]["title"] == film.name
    assert watched["budget"] == {"least": 5, "most": 80, "usual": 80}


def test_an_answer_is_the_sessions_own_and_comes_in_pieces(client, video, server, film):
    events = client.events(
        f"videos/{video['id']}/turns", {"question": "What is there?", "budget": 60, **SHORT}
    )
    pieces = ["".join(part["text"] for part in data["parts"]) for name, data in events if name == "text"]
    assert len(pieces) > 1
    assert all(later.startswith(earlier) for earlier, later in pairwise(pieces))
    name, data = events[-1]
    alone = server.service.model.watch(film, max_frames=40).ask("What is there?", budget=60, **SHORT)
    turn = data["turn"]
    assert (name, turn["text"]) == ("answered", alone.display)
    assert [segment[3] for segment in turn["segments"]] == [segment.tokens for segment in alone.segments]
    assert turn["spent"].startswith(f"{sum(segment.tokens for segment in alone.segments)} of 60 tokens")


def test_later_questions_see_the_answers_that_are_shown(client, video, server):
    client.ask(video, "What is there?", budget=60, **SHORT)
    uniform = client.answer(video, 0, budget=60, adaptive=False)
    client.ask(video, "And then?", budget=60, **SHORT)
    opened = session_of(server, client).video(video["id"])
    assert opened.turns[1].earlier == (("What is there?", opened.turns[0].answers[Variant(60, False)].text),)
    assert uniform["adaptive"] is False


def test_tokens_are_shared_out_as_the_answer_gets_them_and_answers_are_written_once(client, video, server):
    client.ask(video, "What is there?", **SHORT)
    opened = session_of(server, client).video(video["id"])
    for budget, adaptive in ((7, True), (31, False)):
        told = client.post(
            f"videos/{video['id']}/turns/0/allocation", {"budget": budget, "adaptive": adaptive}
        )
        answered = client.answer(video, 0, budget=budget, adaptive=adaptive, show=False)
        assert told["segments"] == answered["segments"]
        written = opened.turns[0].answers[Variant(budget, adaptive)]
        assert [segment.tokens for segment in written.segments] == [one[3] for one in told["segments"]]
        client.answer(video, 0, budget=budget, adaptive=adaptive, show=False)
        assert opened.turns[0].answers[Variant(budget, adaptive)] is written
    assert opened.turns[0].variant == Variant(80, True)  # what is only compared is not shown


def test_a_question_about_a_part_watches_that_part_with_all_frames(client, video, server, film):
    turn = client.ask(video, "What is there?", start=8, end=12, **SHORT)
    assert turn["part"] == [8, 12]
    assert turn["figures"]["frames"] == 8
    assert (turn["segments"][0][0], turn["segments"][-1][1]) == (8, 12)
    part = server.service.model.watch(film, start=8, end=12)
    assert turn["text"] == part.ask("What is there?", budget=turn["budget"], **SHORT).display


def test_two_visitors_share_what_was_watched_and_see_only_their_own(server, film, tmp_path):
    other = tmp_path / "a name of my own.mp4"
    other.write_bytes(film.read_bytes())
    with Client(server.url) as one, Client(server.url) as two:
        first = one.open(upload=one.upload(film))["video"]
        second = two.open(upload=two.upload(other))["video"]
        count = len(server.service.watched)
        one.ask(first, "What is there?", **SHORT)
        turn = two.ask(second, "Which way does it move?", **SHORT)
        assert len(server.service.watched) == count
        assert turn["question"] == "Which way does it move?"
        saved = two.get(f"videos/{second['id']}/export/json").text
        assert film.name not in saved
        assert "a name of my own.mp4" in saved
        for path in ("file", "frames/0.jpg", "export/json"):
            assert two.http.get(f"{two.base}/videos/{first['id']}/{path}").status_code == 404


def test_watching_again_with_other_frames(client, video):
    path = f"videos/{video['id']}/watch"
    assert client.last(path, {"max_frames": 16})["video"]["watched"]["frames"] == 16
    assert client.last(path, {"fps": 1})["video"]["watched"]["frames"] == 24


def test_a_new_conversation_keeps_the_film(client, video, server):
    client.ask(video, "What is there?", **SHORT)
    client.http.delete(f"{client.base}/videos/{video['id']}/turns").raise_for_status()
    assert session_of(server, client).video(video["id"]).turns == []
    assert client.ask(video, "And now?", **SHORT)["number"] == 0


def test_frames_are_those_of_the_file(client, video):
    for seconds in (0.0, 10.0, 23.9, 1e6):
        image = Image.open(
            BytesIO(client.get(f"videos/{video['id']}/frames/{round(seconds * 1000)}.jpg").content)
        )
        assert clips.index_of(np.asarray(image.convert("RGB"))) == min(int(seconds * 8), 24 * 8 - 1)


def test_exports(client, video, film, server):
    assert client.http.get(f"{client.base}/videos/{video['id']}/export/json").status_code == 409
    client.ask(video, "What <b>is</b> there?", budget=24, **SHORT)
    client.answer(video, 0, budget=24, adaptive=False)
    saved = json.loads(client.get(f"videos/{video['id']}/export/json").content)
    (turn,) = saved["turns"]
    assert (turn["question"], turn["shown"]) == ("What <b>is</b> there?", {"budget": 24, "adaptive": False})
    assert [answer["adaptive"] for answer in turn["answers"]] == [True, False]
    for answer in turn["answers"]:
        assert sum(segment["tokens"] for segment in answer["segments"]) == answer["visual_tokens"] <= 24
    shown = session_of(server, client).video(video["id"]).turns[0].answer
    assert Image.open(BytesIO(client.get(f"videos/{video['id']}/export/png").content)).format == "PNG"
    report = client.get(f"videos/{video['id']}/export/html")
    named = f"attachment; filename=\"tempo.html\"; filename*=UTF-8''{quote(film.stem)}.html"
    assert report.headers["content-disposition"] == named
    assert film.name in report.text
    assert "<b>is</b>" not in report.text
    assert f"{shown.display}</p>" in report.text
    assert client.get(f"videos/{video['id']}/export/srt").text == shown.to_srt()
    assert client.http.get(f"{client.base}/videos/{video['id']}/export/exe").status_code == 404


def test_the_page_reads_all_that_it_is_told(client, video, server):
    """Every field of what the server tells is taken out of an object somewhere in the page's modules."""
    modules = "\n".join(path.read_text("utf-8") for path in STATIC.glob("*.js"))
    turn = client.ask(video, "What is there?", **SHORT)
    allocation = client.post(f"videos/{video['id']}/turns/0/allocation", {"budget": 40})
    about = client.http.get("/ui/api/about").json()
    library = client.http.get("/ui/api/library").json()
    told = set(fields([about, video, turn, allocation, library])) - set(PHASES)  # named in a list there
    assert len(told) > 45
    taken = r"\.{name}\b|\{{[^{{}}]*\b{name}\b[^{{}}]*\}} = "
    assert {name for name in told if not re.search(taken.format(name=name), modules)} == set()


def fields(value):
    """The names of everything in a JSON value."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    for one in value if isinstance(value, list) else ():
        yield from fields(one)


# --- what is wrong ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"question": "  "}, "the question is empty"),
        ({}, "question: Field required"),
        ({"question": "What?", "budget": -1}, "budget: Input should be greater than 0"),
        ({"question": "What?", "max_new_tokens": 10**9}, "max_new_tokens: Input should be less than"),
        ({"question": "What?", "temperature": "NaN"}, "temperature: "),
        ({"question": "What?", "top_p": 2}, "top_p: "),
        ({"question": "What?", "start": 30, "end": 40}, "there is no video from 30 to 40 s"),
        ({"question": "what " * 9000}, "the question is too long"),
    ],
)
def test_what_cannot_be_asked(client, video, server, body, words):
    assert words in client.error(f"videos/{video['id']}/turns", body)
    assert session_of(server, client).video(video["id"]).turns == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"fps": 61}, "fps: "),
        ({"fps": -1}, "fps: "),
        ({"max_frames": 2.5}, "max_frames: "),
        ({"max_frames": 41}, "this server watches at most 40 frames of a video"),
    ],
)
def test_frames_that_cannot_be_watched(client, body, words):
    assert words in client.error("videos", {"library": "my film.mp4", **body})


def test_what_cannot_be_opened(client, server, tmp_path):
    (tmp_path / "text.mp4").write_text("This is no video.\n" * 100)
    said = client.error("videos", {"upload": client.upload(tmp_path / "text.mp4")})
    assert said.startswith("text.mp4: ")
    assert "/" not in said
    assert "text.mp4" not in [upload.name for upload in server.service.uploads.all()]  # it was removed
    for body, words in (
        ({"library": "../etc/passwd.mp4"}, "not in the library"),
        ({"example": "none"}, "none: no such example"),
        ({"upload": "file-00"}, "this upload is gone"),
        ({}, "name an upload, a library video or an example"),
    ):
        assert words in client.error("videos", body)


def test_uploads_are_limited_before_and_while_they_come(client):
    sent = client.http.post(f"{client.base}/uploads", params={"name": "notes.txt"}, content=b"words")
    assert (sent.status_code, "not supported" in sent.text) == (415, True)
    sent = client.http.post(f"{client.base}/uploads", params={"name": "a.mp4"}, content=b"\0" * 3_100_000)
    assert sent.status_code == 413
    sent = client.http.post(f"{client.base}/uploads", params={"name": "a.mp4"}, content=b"")
    assert (sent.status_code, "the file is empty" in sent.text) == (400, True)
    flood = (b"\0" * 100_000 for _ in range(60))
    sent = client.http.post(f"{client.base}/uploads", params={"name": "a.mp4"}, content=flood)
    assert sent.status_code == 413
    long = client.http.post(f"{client.base}/videos", content=b'{"library": "' + b"a" * 1_100_000 + b'"}')
    assert long.status_code == 413


def test_uploads_have_names_and_no_folders(client, film, server):
    name = "../../\ud83dx/..\\film.mp4".encode("utf-8", "replace").decode()
    sent = client.http.post(f"{client.base}/uploads", params={"name": name}, content=film.read_bytes())
    session = session_of(server, client)
    upload = session.uploads[sent.json()["upload"]]
    assert upload.name == "film.mp4"
    assert upload.path.parent == server.service.uploads.folder


def test_a_fault_is_said_without_its_details(client, video, server, monkeypatch, capsys):
    def broken(*_, **__):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(server.actions, "_write", broken)
    said = client.error(f"videos/{video['id']}/turns", {"question": "What is there?"})
    assert said == "something went wrong in tempo itself; the server's terminal shows more"
    assert "secret detail" in capsys.readouterr().err


def test_addresses_of_nothing_are_not_found(client, video):
    for path in (
        "/ui/api/sessions/%C3%A9/videos/x/file",
        f"{client.base}/videos/%FF/file",
        f"{client.base}/videos/{video['id']}/frames/%C2%B2.jpg",
        f"{client.base}/videos/{video['id']}/turns/{10**30}/allocation",
        "/ui/api/library/cover?id=%2e%2e%2fetc",
        "/ui/api/examples/none.jpg",
        "/ui/api/nothing",
        "/%C3%A9.js",
        "/../server.py",
        "/..%2f..%2fserver.py",
        "/%00",
        "/" + "a" * 5000,
    ):
        answer = client.http.get(path)
        assert answer.status_code in (400, 404, 405, 410), path
        assert "Traceback" not in answer.text


# --- who may ------------------------------------------------------------------------------------------------


def test_headers_of_every_response(client, server):
    for path in ("/", "/app.js", "/ui/api/about", "/ui/api/nothing"):
        headers = client.http.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
    assert client.http.get("/", headers={"host": "elsewhere.example"}).status_code == 421
    wrong = client.http.post("/ui/api/sessions", headers={"origin": "http://elsewhere.example"})
    assert wrong.status_code == 403
    assert client.http.post("/ui/api/sessions", headers={"origin": server.url.rstrip("/")}).status_code == 200


def test_the_file_is_served_whole_and_in_parts(client, video, film):
    path = f"videos/{video['id']}/file"
    assert client.get(path).content == film.read_bytes()
    part = client.http.get(f"{client.base}/{path}", headers={"range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, film.read_bytes()[5:10])


def test_no_path_of_the_server_is_told(client, film, server):
    listed = client.http.get("/ui/api/library").json()
    assert [one["id"] for one in listed["videos"]] == [f"{film.parent.name}/{film.name}"]
    opened = client.open(library=listed["videos"][0]["id"])["video"]
    client.ask(opened, "What is there?", **SHORT)
    texts = [json.dumps(listed), json.dumps(opened), client.get(f"videos/{opened['id']}/export/json").text]
    assert not any(str(film.parent) in text for text in texts)


# --- leaving ------------------------------------------------------------------------------------------------


def test_a_visitor_who_hangs_up_ends_the_work(server, client, tmp_path):
    long = clips.write(tmp_path / "long.mp4", count=600, rate=2, size=(320, 180), options={"g": "8"})
    before = len(server.service.watched)
    body = {"upload": client.upload(long)}
    with client.http.stream("POST", f"{client.base}/videos", json=body) as streaming:
        for line in streaming.iter_lines():
            if line == "event: opened":
                break
    wait_until(lambda: len(server.service.watched) == before)
    wait_until(lambda: server.service.open_requests == 0)


def test_closing_a_tab_or_the_page_removes_what_was_uploaded(server, film, monkeypatch):
    monkeypatch.setattr(client_sessions, "LEAVE_SECONDS", 0.1)
    with Client(server.url) as client:
        kept, closed = (client.open(upload=client.upload(film))["video"] for _ in range(2))
        paths = [one.source.path for one in session_of(server, client).videos.values()]
        client.http.delete(f"{client.base}/videos/{closed['id']}").raise_for_status()
        assert [path.exists() for path in paths] == [True, False]
        client.http.post(f"{client.base}/leave").raise_for_status()
        wait_until(lambda: not paths[0].exists())
        gone = client.http.get(f"{client.base}/videos/{kept['id']}/file")
        assert (gone.status_code, "load it again" in gone.text) == (410, True)


def test_only_so_many_videos_are_open(client, film, monkeypatch):
    monkeypatch.setattr(client_sessions, "MAX_OPEN", 1)
    client.open(library=f"{film.parent.name}/{film.name}")
    said = client.error("videos", {"library": f"{film.parent.name}/{film.name}"})
    assert said == "1 videos are open; close one first"


def test_whoever_comes_while_too_many_wait_is_told(client, video, server, monkeypatch):
    monkeypatch.setattr(server.service, "most_waiting", 0)
    assert "try again later" in client.error(f"videos/{video['id']}/turns", {"question": "What?"})


def test_a_page_that_is_loaded_again_gets_its_conversations(server, client, video):
    turns = [client.ask(video, question, **SHORT) for question in ("What is there?", "Is it red?")]
    client.http.post(f"{client.base}/leave").raise_for_status()
    (found,) = client.http.get(client.base).raise_for_status().json()["videos"]
    assert found["video"] == video
    assert found["turns"] == turns
    assert session_of(server, client).left is None


def test_pages_that_were_left_make_room_for_others(server, monkeypatch):
    sessions = server.actions.sessions
    sessions.close()
    monkeypatch.setattr(client_sessions, "MAX_SESSIONS", 2)
    with Client(server.url) as first, Client(server.url) as second:
        assert "2 pages are open" in httpx.post(f"{server.url}ui/api/sessions").text
        second.http.post(f"{second.base}/leave")
        first.http.post(f"{first.base}/leave")
        third = httpx.post(f"{server.url}ui/api/sessions").json()["key"]
        assert {first.key, third} == set(sessions._sessions)


def test_a_session_is_not_guessed(server, client):
    assert len(client.key) > 20
    assert httpx.get(f"{server.url}ui/api/sessions/{client.key[:-1]}x/videos/a/file").status_code == 410
