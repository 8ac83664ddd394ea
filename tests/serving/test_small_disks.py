"""Disks without room: what can be answered is answered, and nothing is left behind. Linux."""

import base64
import resource
import threading
import time

import httpx
import openai
import pytest

from tempo.errors import TempoError
from tempo.inference.compute_turn import ComputeTurn
from tempo.inference.prefix_cache import DiskCache
from tempo.serving.api_errors import ApiError
from tempo.serving.scheduler import QuestionScheduler
from tempo.serving.watched_videos import WatchedVideos
from tempo.video.video import Video

from .conftest import KEY, Served
from .test_clients import ask

QUESTION = "What is there?"


class Watching:
    """Watched videos of a model that are kept on a disk of so many bytes."""

    def __init__(self, model, folder, limit):
        model.disk = DiskCache(folder, limit_bytes=limit)
        self.turn = ComputeTurn()
        self.videos = WatchedVideos(model, self.turn, cache="disk", limit_bytes=10**9, most=64)
        self.scheduler = QuestionScheduler(model, self.turn)

    def ask(self, video):
        options = {"fps": None, "max_frames": None, "left": threading.Event()}
        with self.videos.lease(video, **options) as (session, known):
            posed = session.pose((), QUESTION)
            return [token.id for token in self.scheduler.tokens(posed)], known


@pytest.fixture(autouse=True)
def as_before(nano):
    disk = nano.disk
    yield
    nano.disk = disk


@pytest.fixture
def expected(nano, folder):
    return [nano.watch(folder / f"{n}.mp4", cache="none").ask(QUESTION).token_ids for n in range(2)]


def of_one(nano, folder, tmp_path):
    """What one video takes on disk."""
    cache = nano.disk = DiskCache(tmp_path / "one")
    nano.watch(folder / "0.mp4", cache="disk")
    return sum(path.stat().st_size for path in cache.root.rglob("*"))


def test_what_fits_nowhere_is_watched_for_each_question(nano, folder, tmp_path, expected):
    watching = Watching(nano, tmp_path / "kept", 1000)
    mine = tmp_path / "mine.mp4"
    mine.write_bytes((folder / "0.mp4").read_bytes())
    assert watching.ask(Video.open(mine)) == (expected[0], False)
    mine.unlink()
    assert watching.ask(Video.open(folder / "0.mp4")) == (expected[0], False), (
        "whoever watched it first is gone"
    )
    assert len(watching.videos) == 0
    watching.scheduler.close()


@pytest.mark.parametrize("gone", [False, True])
def test_one_who_watches_for_several_fails_for_all_unless_its_file_is_gone(
    nano, folder, tmp_path, expected, monkeypatch, gone
):
    watching, everybody, begun, results = Watching(nano, tmp_path / "kept", 10**9), 3, [], []
    mine = tmp_path / "mine.mp4"
    mine.write_bytes((folder / "0.mp4").read_bytes())
    watch, shared = type(nano).watch, threading.Event()

    def fails(model, video, **options):
        begun.append(video.path)
        shared.wait(60)
        if gone and len(begun) > 1:
            return watch(model, video, **options)
        mine.unlink(missing_ok=gone)
        if not gone:
            mine.touch()
        raise TempoError("not one frame could be decoded")

    def run(path):
        try:
            results.append(watching.ask(Video.open(path))[0])
        except ApiError as error:
            results.append(error.status)

    monkeypatch.setattr(type(nano), "watch", fails)
    threads = [threading.Thread(target=run, args=(mine,), daemon=True)]
    threads[0].start()
    while not begun:
        time.sleep(0.01)
    others = [threading.Thread(target=run, args=(folder / "0.mp4",), daemon=True) for _ in range(2)]
    for thread in others:
        thread.start()
    (entry,) = watching.videos._entries.values()
    while entry.users < everybody:
        time.sleep(0.01)
    shared.set()
    for thread in threads + others:
        thread.join(60)
    assert len(begun) == (2 if gone else 1)
    assert sorted(results, key=str) == sorted([422, *[expected[0] if gone else 422] * 2], key=str)
    watching.scheduler.close()


def test_the_least_recently_used_leaves_the_disk_and_takes_no_more_room(nano, folder, tmp_path, expected):
    limit = round(2.5 * of_one(nano, folder, tmp_path))
    watching = Watching(nano, tmp_path / "kept", limit)
    third = tmp_path / "third.mp4"
    third.write_bytes((folder / "0.mp4").read_bytes() + b"another hash")
    first, second = (Video.open(folder / f"{n}.mp4") for n in range(2))
    assert watching.ask(first) == (expected[0], False)
    assert watching.ask(second) == (expected[1], False)
    assert watching.ask(first) == (expected[0], True)
    assert watching.ask(Video.open(third)) == (expected[0], False)
    assert len(watching.videos) == 2, "the second was removed, and is not held open either"
    assert watching.ask(first) == (expected[0], True)
    assert watching.ask(second) == (expected[1], False)
    watching.scheduler.close()


def test_a_damaged_copy_without_its_file_is_watched_anew(nano, folder, tmp_path, expected):
    watching = Watching(nano, tmp_path / "kept", 10**9)
    mine = tmp_path / "mine.mp4"
    mine.write_bytes((folder / "0.mp4").read_bytes())
    assert watching.ask(Video.open(mine)) == (expected[0], False)
    (kept,) = (tmp_path / "kept").glob("*/past.bin")
    with kept.open("r+b") as file:
        file.seek(5000)
        file.write(b"damage" * 100)
    mine.unlink()
    with pytest.raises(ApiError, match="the video cannot be read") as caught:
        watching.ask(Video.open(folder / "0.mp4"))
    assert caught.value.status == 422
    assert str(tmp_path) not in caught.value.message
    assert watching.ask(Video.open(folder / "0.mp4")) == (expected[0], False)
    watching.scheduler.close()


def test_a_full_disk_is_told_and_what_needs_none_is_answered(folder, tmp_path, nano, monkeypatch):
    """A limit on the size of files stands for the disk: the same calls fail."""
    monkeypatch.setenv("TEMPO_CACHE", str(tmp_path / "kept"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    server = Served(
        *("--served-model-name", "nano", "--allowed-local-media-path", str(folder), "--cache", "disk")
    )
    try:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
        client, headers = server.client(), {"Authorization": f"Bearer {KEY}"}
        content = (folder / "0.mp4").read_bytes()
        assert len(content) > 20_000
        for send in (
            lambda: client.files.create(file=folder / "0.mp4", purpose="user_data"),
            lambda: ask(client, f"data:video/mp4;base64,{base64.b64encode(content).decode()}", QUESTION),
        ):
            with pytest.raises(openai.InternalServerError, match="disk is full") as caught:
                send()
            assert caught.value.status_code == 503
        told = ask(client, f"file://{folder / '0.mp4'}", QUESTION)
        assert told.choices[0].message.content == nano.watch(folder / "0.mp4").ask(QUESTION).text
        (own,) = tmp_path.glob("tempo-serve-*")
        assert [path.name for path in own.iterdir()] == [".lock"]
        assert not list((tmp_path / "kept").glob("*"))
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        assert client.files.create(file=folder / "0.mp4", purpose="user_data").bytes == len(content)
        assert httpx.get(f"{server.url}/v1/files", headers=headers).json()["data"]
    finally:
        assert server.close() == 0
