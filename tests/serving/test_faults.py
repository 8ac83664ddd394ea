"""Faults and abuse: what goes wrong in one request stays there, and nothing is left behind."""

import base64
import contextlib
import os
import signal
import struct
import threading
import time
import zlib
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest
import torch

from tempo.inference.compute_turn import ComputeTurn
from tempo.serving.api_errors import ApiError, as_api_error
from tempo.serving.fetched_files import FetchedFiles, FetchPolicy, _is_public, local_file
from tempo.serving.scheduler import QuestionScheduler
from tempo.serving.storage_folder import StorageFolder
from tempo.serving.watched_videos import Abandoned, WatchedVideos
from tempo.video.video import Video
from web import site

from .conftest import KEY, Served
from .soak import Soak, make_videos, options, unaccounted
from .test_clients import ask

QUESTION = "What is there?"


def test_what_runs_out_of_memory_fails_alone(nano, folder):
    session = nano.watch(folder / "0.mp4")
    scheduler = QuestionScheduler(nano, ComputeTurn())

    class Greedy:
        def allowed(self):
            raise torch.OutOfMemoryError("CUDA out of memory")

        def advance(self, token):
            raise AssertionError

    results = {}

    def run(name, constraint):
        try:
            tokens = scheduler.tokens(session.pose((), QUESTION), constraint=constraint)
            results[name] = [token.id for token in tokens]
        except Exception as error:
            results[name] = as_api_error(error).status

    threads = [
        threading.Thread(target=run, args=(n, Greedy() if n == 1 else None), daemon=True) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    scheduler.close()
    expected = session.ask(QUESTION).token_ids
    assert results == {0: expected, 1: 503, 2: expected, 3: expected}


@pytest.fixture
def long_session(tiny, monkeypatch):
    """A cached video of thirty segments, compressed one by one, and a model that ends no answer by itself."""
    monkeypatch.setattr(type(tiny), "segments_per_batch", lambda *_, **__: 1)
    monkeypatch.setattr(type(tiny), "stop_ids", frozenset())
    frames = np.random.default_rng(0).integers(0, 255, (240, 32, 32, 3), np.uint8)
    return tiny.watch(Video.from_frames(frames, fps=2.0), cache="host")


def test_an_answer_goes_on_while_a_long_video_is_compressed(tiny, long_session):
    scheduler, written = QuestionScheduler(tiny, ComputeTurn()), []
    three = threading.Event()

    def write():
        with contextlib.suppress(RuntimeError):  # the scheduler is closed in the end
            for token in scheduler.tokens(long_session.pose((), QUESTION, max_new_tokens=400, budget=60)):
                written.append(token.id)
                if len(written) == 3:
                    three.set()

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    assert three.wait(120)
    before = len(written)
    next(scheduler.tokens(long_session.pose((), "And then?", max_new_tokens=2, budget=60)))
    between = len(written) - before
    scheduler.close()
    thread.join(60)
    assert between > 40, "a token between any two batches of segments"


def test_what_nobody_waits_for_is_not_compressed(tiny, long_session):
    scheduler, steps = QuestionScheduler(tiny, ComputeTurn()), []
    uncached = tiny.watch(long_session.video, cache="none")

    def gone():
        steps.append(1)
        return len(steps) > 3

    for session in (long_session, uncached):
        steps.clear()
        with contextlib.suppress(Abandoned):
            assert list(scheduler.tokens(session.pose((), QUESTION, budget=60), gone=gone)) == []
        assert len(steps) < 10
    scheduler.close()


def test_the_time_of_an_answer_is_that_of_its_tokens(tiny, long_session):
    scheduler, answers = QuestionScheduler(tiny, ComputeTurn()), []
    for count in (1, 60):
        posed = long_session.pose((), QUESTION, max_new_tokens=count, budget=60)
        ids = [token.id for token in scheduler.tokens(posed)]
        answers.append(posed.answer(ids, ""))
    scheduler.close()
    few, many = (answer.usage.timings for answer in answers)
    assert many["answer"] > 5 * few["answer"]


def test_frames_that_clients_sent_count_as_memory(tiny):
    videos = WatchedVideos(tiny, ComputeTurn(), cache="host", limit_bytes=10**9, most=64)

    def watch(value):
        video = Video.from_frames(np.full((8, 600, 600, 3), value, np.uint8), fps=2.0)
        with videos.lease(video, fps=None, max_frames=None, left=threading.Event()) as (session, _):
            return session.cached_bytes

    cached = watch(0)
    assert videos.bytes == cached + 8 * 600 * 600 * 3
    videos.limit_bytes = 2 * videos.bytes - cached
    watch(1)
    assert len(videos) == 1, "the older one went"


def test_questions_go_before_watching_and_watching_is_not_starved():
    turn, order = ComputeTurn(), []

    def watch():
        for _ in range(3):
            with turn.take_to_watch():
                order.append("watch")
                time.sleep(0.05)

    def answer():
        for _ in range(40):
            with turn.take():
                order.append("question")
                time.sleep(0.01)

    threads = [threading.Thread(target=target) for target in (watch, answer, answer)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert order.count("watch") == 3
    first, second = [at for at, name in enumerate(order) if name == "watch"][1:]
    assert second - first > 3, "questions had three times as long"
    assert second < len(order) - 10, "and the last batch did not wait for all of them"


def test_lanes_compute_at_the_same_time_and_watching_never_takes_the_last():
    turn = ComputeTurn(lanes=2)
    meet = threading.Barrier(2)
    watching, most = [], []

    def answer():
        with turn.take():
            meet.wait(60)

    threads = [threading.Thread(target=answer) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not meet.broken

    begun, answered = threading.Semaphore(0), threading.Event()

    def watch():
        for _ in range(10):
            with turn.take_to_watch():
                watching.append(1)
                most.append(len(watching))
                begun.release()
                assert answered.wait(60), "there was a lane for the question although three watch"
                watching.pop()

    threads = [threading.Thread(target=watch) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert begun.acquire(timeout=60)
    with turn.take():
        answered.set()
    for thread in threads:
        thread.join(60)
    assert (len(most), max(most)) == (30, 1)


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:127.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
    ],
)
def test_addresses_of_the_inside_are_not_public(address):
    assert not _is_public(address)
    assert _is_public("93.184.216.34")


def test_a_redirect_is_checked_like_the_first_address(tmp_path, folder):
    policy = FetchPolicy(domains=("localhost",), allow_private=True)
    fetched = FetchedFiles(tmp_path, policy)
    with site() as outside:
        there = outside.serve("/film.mp4", folder / "0.mp4")
        port = httpx.URL(there).port
        outside.pages["/moved"] = type(outside.pages["/film.mp4"])(
            status=302, redirect=f"http://127.0.0.1:{port}/film.mp4"
        )
        assert fetched.get(f"http://localhost:{port}/film.mp4", lambda: False).is_file()
        with pytest.raises(ApiError, match="this server does not allow") as caught:
            fetched.get(f"http://localhost:{port}/moved", lambda: False)
    assert caught.value.status == 403
    fetched.close()


@pytest.mark.parametrize("path", ["/../secret", "/%2e%2e/secret", "/a/../../secret", "//etc/passwd", "/link"])
def test_no_path_leads_out_of_the_allowed_folder(tmp_path, path):
    allowed = tmp_path / "allowed"
    (allowed / "a").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (allowed / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(ApiError) as caught:
        local_file(f"file://{allowed}{path}", allowed)
    assert caught.value.status in (403, 422)


def png_header(width, height):
    """A PNG that says how large it is, and has nothing in it."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


BOMBS = {
    "a picture": ("image/png", png_header(100_000, 100_000)),
    "a video": ("video/x-yuv4mpeg", b"YUV4MPEG2 W100000 H100000 F1:1 Ip A1:1 C420\nFRAME\n" + b"\0" * 999),
    "a frame": ("video/jpeg", png_header(100_000, 100_000)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_says_that_it_is_enormous_is_refused(client, name):
    kind, content = BOMBS[name]
    url = f"data:{kind};base64,{base64.b64encode(content).decode()}"
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client, url, QUESTION)
    assert caught.value.status_code in (413, 422)


def test_names_of_files_lead_nowhere(served, client, folder):
    headers = {"Authorization": f"Bearer {KEY}"}
    content = (folder / "0.mp4").read_bytes()
    files = {"file": ("../../../../tmp/\x00evil.mp4", content)}
    sent = httpx.post(f"{served.url}/v1/files", files=files, headers=headers, timeout=60)
    assert sent.status_code in (200, 400)
    if sent.status_code == 200:
        assert "/" not in sent.json()["filename"]
    for identity in ("../0.mp4", "..%2f..%2fetc%2fpasswd", "file-" + "0" * 24, "."):
        answer = httpx.get(f"{served.url}/v1/files/{identity}", headers=headers)
        assert answer.status_code in (404, 405) or "data" in answer.json()
    assert not Path("/tmp/evil.mp4").exists()


def test_a_server_whose_output_nobody_reads_ends_when_it_is_told():
    server = Served()
    assert server.process.stdout is not None
    assert server.process.stderr is not None
    server.process.stdout.close()
    server.process.stderr.close()
    with pytest.raises(openai.NotFoundError):
        server.client().chat.completions.create(model="other", messages=[{"role": "user", "content": "?"}])
    server.process.terminate()
    assert server.process.wait(timeout=45) == 0


def test_what_a_killed_server_left_is_removed_and_what_runs_is_left_alone(tmp_path):
    running = StorageFolder(tmp_path)
    left = tmp_path / "tempo-serve-left"
    left.mkdir()
    (left / ".lock").touch()
    (left / "file-0").write_bytes(b"x" * 1000)
    other = StorageFolder(tmp_path)
    assert not left.exists()
    assert running.path.exists()
    for one in (running, other):
        one.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_killed_server_leaves_kept_videos_whole_or_none(folder, nano, tmp_path, monkeypatch):
    """Killed while it watches a video; the next one removes what is half, answers right, and ends with 0."""
    monkeypatch.setenv("TEMPO_CACHE", str(tmp_path / "kept"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    options = ("--served-model-name", "nano", "--allowed-local-media-path", str(folder), "--cache", "disk")
    server = Served(*options)
    client = server.client()
    address = f"file://{folder / '0.mp4'}"
    expected = nano.watch(folder / "0.mp4").ask(QUESTION).text
    assert ask(client, address, QUESTION).choices[0].message.content == expected
    other = {"extra_body": {"tempo": {"fps": 4}}}

    def leave():
        with contextlib.suppress(openai.OpenAIError):
            ask(client, address, QUESTION, **other)

    leaving = threading.Thread(target=leave)
    leaving.start()
    time.sleep(0.3)
    os.kill(server.process.pid, signal.SIGKILL)
    leaving.join(60)
    server.process.wait(60)
    server = Served(*options)
    try:
        again = ask(server.client(), address, QUESTION)
        assert again.choices[0].message.content == expected
        assert ask(server.client(), address, QUESTION, **other).choices[0].message.content
    finally:
        assert server.close() == 0
    assert list(tmp_path.glob("tempo-serve-*")) == []
    assert [one.name for one in (tmp_path / "kept").iterdir() if one.name.startswith(".")] == []


def test_eight_clients_with_everything_that_goes_wrong(tmp_path, monkeypatch):
    """A few seconds of what `python -m tests.serving.soak` does for minutes."""
    monkeypatch.setenv("TEMPO_CACHE", str(tmp_path / "kept"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    videos = make_videos(tmp_path, seconds=(4, 6, 8))
    server = Served(*options(tmp_path))
    try:
        soak = Soak(server, videos, seed="short")
        soak.run(8)
        assert soak.errors == []
        assert sum(soak.counts.values()) >= 8
        assert unaccounted(tmp_path) == []
    finally:
        assert server.close() == 0
    assert list(tmp_path.glob("tempo-serve-*")) == []
