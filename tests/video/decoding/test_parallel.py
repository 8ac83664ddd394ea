"""Several decoders at once give what one gives: frames, times, damage."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import clips
from tempo.errors import UsageError
from tempo.host_cores import cores
from tempo.video.decoding import decode_workers, parallel
from tempo.video.decoding.source import FileSource
from tempo.video.frames import Damage
from tempo.video.video import AHEAD_BYTES, Sampling, Video

Threads = Callable[[], list[str]]

OPEN = {"g": "20", "bf": "3", "x264-params": "open-gop=1:scenecut=0:b-pyramid=2"}
STRUCTURES = {
    "closed.mp4": ("libx264", {"g": "20", "bf": "3"}),
    "open.mp4": ("libx264", OPEN),
    "open.mkv": ("libx264", OPEN),
    "open-hevc.mp4": (
        "libx265",
        {"x265-params": "log-level=none:keyint=20:min-keyint=20:bframes=4:open-gop=1:scenecut=0"},
    ),
    "refresh.mp4": ("libx264", {"g": "20", "x264-params": "intra-refresh=1:scenecut=0"}),
    "endless.mp4": ("libx264", {"g": "1000", "bf": "8", "x264-params": "scenecut=0:b-pyramid=2"}),
    "intra.mp4": ("libx264", {"g": "1"}),
    "hidden.webm": (
        "libvpx-vp9",
        {"g": "30", "deadline": "realtime", "cpu-used": "8", "lag-in-frames": "16", "auto-alt-ref": "1"},
    ),
    "av1.mp4": ("libsvtav1", {"preset": "12", "g": "20"}),
    "no-keyframes-in-order.ts": ("libx264", {"g": "20"}),
}


def stream(path: Path, workers: int, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, Damage]:
    video = Video.open(path)
    video.decode_workers = workers
    batches = list(video.stream(Sampling(times, 5.0), chunk=8))
    frames = np.concatenate([batch.frames for batch in batches])
    return frames, np.concatenate([batch.times for batch in batches]), video.damage


def assert_equal(path: Path, times: np.ndarray) -> None:
    frames, presented, damage = stream(path, 1, times)
    for workers in (2, 5):
        got = stream(path, workers, times)
        np.testing.assert_array_equal(got[0], frames)
        np.testing.assert_array_equal(got[1], presented)
        assert got[2] == damage


@pytest.mark.parametrize("group", [1, 24])
@pytest.mark.parametrize("name", STRUCTURES)
def test_frames_of_one_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, group: int
) -> None:
    """Of every frame, of frames taken at random, and of a few that are far apart."""
    monkeypatch.setattr(parallel, "GROUP_PACKETS", group)
    codec, options = STRUCTURES[name]
    path = clips.write(tmp_path / name, codec=codec, options=options, count=150, rate=25)
    rng = np.random.default_rng(5)
    assert_equal(path, np.arange(150) / 25)
    for count in (3, 40):
        assert_equal(path, np.sort(rng.uniform(0, 6, count)))


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_damage_of_one_decoder(tmp_path: Path, suffix: str) -> None:
    path = clips.write(tmp_path / f"clip.{suffix}", count=250, rate=25, options={"g": "25"})
    data = bytearray(path.read_bytes())
    middle = slice(len(data) * 45 // 100, len(data) * 55 // 100)
    data[middle] = bytes(middle.stop - middle.start)
    path.write_bytes(data)
    assert_equal(path, np.arange(0, 10, 0.2))
    assert stream(path, 4, np.arange(0, 10, 0.2))[2]


def test_several_threads_decode(tmp_path: Path, threads: Threads) -> None:
    video = Video.open(clips.write(tmp_path / "clip.mp4", count=500, rate=25, options={"g": "25"}))
    video.decode_workers = 4
    batches = video.stream(video.sample(fps=25.0), chunk=8)
    next(batches)
    assert sum(name.startswith("tempo-decode-") for name in threads()) == 4
    batches.close()  # type: ignore[attr-defined]
    assert threads() == []


def test_nothing_is_left_of_a_stream_that_nobody_ends(tmp_path: Path, threads: Threads) -> None:
    path = clips.write(tmp_path / "clip.mp4", count=250, rate=25, options={"g": "25"})
    for taken in range(4):
        video = Video.open(path)
        video.decode_workers = 3
        batches = video.stream(video.sample(fps=25.0), chunk=8)
        for _ in range(taken):
            next(batches)
        del batches
        assert threads() == []


def test_frames_that_wait_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "GROUP_BYTES", 4 << 20)
    path = clips.write(tmp_path / "clip.mp4", count=900, size=(320, 192), options={"g": "100"})
    video = Video.open(path)
    video.decode_workers = 2
    tracemalloc.start()
    try:
        for batch in video.stream(video.sample(fps=30.0), chunk=8):
            assert len(batch)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    waiting = 2 * parallel.GROUPS_A_WORKER * parallel.GROUP_BYTES + AHEAD_BYTES
    assert peak < waiting + 4 * batch.frames.nbytes


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "many", None])
def test_a_number_of_decoders_that_cannot_be(tmp_path: Path, workers: object) -> None:
    video = Video.open(clips.write(tmp_path / "clip.mp4", count=5))
    with pytest.raises(UsageError, match="decode_workers must be a whole number of at least 1, or 'auto'"):
        video.decode_workers = workers  # type: ignore[assignment]


def test_auto_takes_one_decoder_where_more_do_not_pay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cores() >= 1
    many = np.arange(200) / 25
    mp4, ts = (
        FileSource(str(clips.write(tmp_path / f"clip.{suffix}", count=20))).file for suffix in ("mp4", "ts")
    )
    for machine, expected in ((1, 1), (2, 1), (4, 2), (16, 8), (128, 8)):
        monkeypatch.setattr(decode_workers, "cores", lambda machine=machine: machine)
        assert decode_workers.number_of_workers("auto", mp4, many) == expected
        assert decode_workers.number_of_workers("auto", ts, many) == 1  # has to be read in order
        assert decode_workers.number_of_workers("auto", mp4, many[:5]) == 1
        assert decode_workers.number_of_workers(3, mp4, many) == 3
        assert decode_workers.number_of_workers(3, ts, many) == 1
