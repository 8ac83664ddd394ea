"""The page in front of a `tempo serve`, which watches and answers for it."""

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import uvicorn

from tempo.cli.main import main
from tempo.errors import TempoError
from tempo.serving.app import make_app
from tempo.serving.client import ServerClient
from tempo.serving.service import Service, ServiceSettings
from ui_client import Client

SHORT = {"max_new_tokens": 8}
KEY = "secret"


@pytest.fixture(scope="module")
def elsewhere(nano) -> Iterator[SimpleNamespace]:
    """A `tempo serve` in a thread: its address and its parts."""
    service = Service(nano, ServiceSettings(name="nano"))
    app = make_app(service, api_key=KEY)
    running = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        assert thread.is_alive()
    port = running.servers[0].sockets[0].getsockname()[1]
    yield SimpleNamespace(url=f"http://127.0.0.1:{port}", service=service)
    running.should_exit = True
    service.close()
    thread.join(60)


@pytest.fixture(scope="module")
def page(elsewhere):
    from tempo.ui.server import Server, ServerConfig

    server = Server(ServerClient(elsewhere.url, key=KEY), ServerConfig())
    yield server
    server.close()


@pytest.fixture(scope="module")
def session(nano, film):
    return nano.watch(film)


def test_the_page_shows_what_the_server_answers(page, elsewhere, film, nano, session):
    with Client(page.url) as client:
        upload = client.upload(film)
        events = client.events("videos", {"upload": upload})
        video = events[-1][1]["video"]
        assert next(name for name, _ in events) == "opened"
        assert "watching" in [name for name, _ in events]
        assert video["watched"]["frames"] == len(session.sampling)
        every = nano.config.segment_frames
        assert video["watched"]["starts"] == pytest.approx(session.sampling.times[::every].tolist())
        assert video["watched"]["warnings"] == list(session.warnings)
        conversation = session.conversation()
        for question in ("What is there?", "And then?"):
            expected = conversation.ask(question, budget=60, **SHORT)
            turn = client.ask(video, question, budget=60, **SHORT)
            assert turn["text"] == expected.display
            assert [one[3] for one in turn["segments"]] == [one.tokens for one in expected.segments]
        other = client.answer(video, 1, budget=30, adaptive=False)
        assert other["budget"] == 30
        assert film.name in client.get(f"videos/{video['id']}/export/html").text
        part = client.ask(video, "What is there?", start=8, end=12, **SHORT)
        assert part["segments"][0][0] >= 8
    assert len(elsewhere.service.uploads.all()) == 1, "the file was sent once"


def test_what_the_server_refuses_the_page_says(page, tmp_path, elsewhere):
    rubbish = tmp_path / "rubbish.mp4"
    rubbish.write_bytes(b"no video")
    with Client(page.url) as client:
        assert "rubbish.mp4" in client.error("videos", {"upload": client.upload(rubbish)})
    with pytest.raises(TempoError, match="key is wrong"):
        ServerClient(elsewhere.url).model_info()


def test_who_leaves_ends_the_work_on_the_server(elsewhere, film):
    client, gone = ServerClient(elsewhere.url, key=KEY), threading.Event()
    file = client.upload(film)
    chunks = client.stream(file, "Summarise the video.", gone=gone, tempo={"progress": True, "fps": 8})
    assert next(chunks)["object"] in ("tempo.progress", "chat.completion.chunk")
    gone.set()
    for _ in chunks:
        pass
    end = time.monotonic() + 60
    while elsewhere.service.open_requests:
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--server", "http://127.0.0.1:9"], "cannot be reached"),
        (["--server", "http://127.0.0.1:9", "--device", "cpu"], "--device does not go with --server"),
        (["--server", "ftp://x"], "give an address"),
    ],
)
def test_a_server_that_cannot_be_used_is_one_line(options, says, capsys):
    assert main(["ui", *options]) in (1, 2)
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
