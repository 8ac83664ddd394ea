"""Damaged files are watched as far as they can be decoded, and say what was lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import clips
from tempo.errors import TempoError
from tempo.video.video import Video

KINDS = {"mp4": "libx264", "mkv": "libx264", "webm": "libvpx-vp9", "ts": "libx264"}


def noisy(index: int) -> np.ndarray:
    """Pictures that compress badly, so that every part of the file matters."""
    noise = np.random.default_rng(0).integers(0, 60, (96, 160, 3))
    return np.clip(clips.picture(index) * 0.8 + np.roll(noise, index * 5, 1), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Undamaged files by their suffix."""
    folder = tmp_path_factory.mktemp("originals")
    return {suffix: encode(folder / f"clip.{suffix}", codec).read_bytes() for suffix, codec in KINDS.items()}


def encode(path: Path, codec: str) -> Path:
    return clips.write(
        path,
        codec=codec,
        count=150,
        rate=25,
        options={"g": "15", "deadline": "realtime", "cpu-used": "8"}
        if codec == "libvpx-vp9"
        else {"g": "15"},
        draw=noisy,
        container_options={"movflags": "faststart"} if path.suffix == ".mp4" else None,
    )


def put(folder: Path, data: bytes, suffix: str = "mp4") -> Path:
    path = folder / f"clip.{suffix}"
    path.write_bytes(data)
    return path


def overwrite(path: Path, begin: float, end: float, *, noise: bool = False) -> None:
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    part = slice(int(len(data) * begin), int(len(data) * end))
    data[part] = np.random.default_rng(1).integers(0, 256, part.stop - part.start) if noise else 0
    path.write_bytes(data.tobytes())


def seen(video: Video, fps: float = 5.0) -> dict[float, int]:
    """time → index, of pictures that can be read."""
    result = {}
    for batch in video.stream(video.sample(fps=fps), chunk=4):
        for frame, time in zip(batch.frames, batch.times, strict=True):
            result[float(time)] = clips.index_of(frame)
    return result


@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("suffix", KINDS)
def test_damaged_in_the_middle(tmp_path: Path, originals: dict[str, bytes], suffix: str, noise: bool) -> None:
    path = put(tmp_path, originals[suffix], suffix)
    overwrite(path, 0.45, 0.55, noise=noise)
    video = Video.open(path)
    pictures = []
    for batch in video.stream(video.sample(fps=5.0), chunk=4):
        pictures += list(zip(batch.times.tolist(), batch.frames, strict=True))

    # Before the damage, and well behind it, everything is as it was.
    for time, frame in pictures:
        if time < 2.2 or time > 4.5:
            assert clips.index_of(frame) == round(time * 25)
    times = [time for time, _ in pictures]
    assert sum(time < 2.2 for time in times) == 11
    assert sum(time > 4.5 for time in times) == 7
    assert video.damage
    assert 0.3 < video.damage.seconds < 2.0
    assert video.damage.moments == 30 - len(pictures)
    (begin, *_), (*_, end) = video.damage.spans[0], video.damage.spans[-1]
    assert 2.0 < begin < end < 4.5


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm"])
def test_cut_off(tmp_path: Path, originals: dict[str, bytes], suffix: str) -> None:
    """The header still promises six seconds."""
    path = put(tmp_path, originals[suffix], suffix)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    video = Video.open(path)
    assert video.duration == pytest.approx(6.0, abs=0.1)
    pictures = seen(video)
    assert all(index == round(time * 25) for time, index in pictures.items())
    assert 3.0 < max(pictures) < 4.2
    ((begin, end),) = video.damage.spans
    assert begin == pytest.approx(max(pictures), abs=0.3)
    assert end == pytest.approx(6.0, abs=0.1)


def test_an_undamaged_file_has_no_damage(tmp_path: Path, originals: dict[str, bytes]) -> None:
    video = Video.open(put(tmp_path, originals["mp4"]))
    assert len(seen(video)) == 30
    assert not video.damage
    assert video.damage.seconds == 0


def test_damage_is_that_of_the_latest_stream(tmp_path: Path, originals: dict[str, bytes]) -> None:
    path = put(tmp_path, originals["mp4"])
    overwrite(path, 0.45, 0.55)
    video = Video.open(path)
    list(video.stream(video.sample(fps=5.0), chunk=4))
    assert video.damage
    list(video.stream(video.sample(fps=1.0, max_frames=1), chunk=4))
    assert not video.damage


@pytest.mark.parametrize("noise", [False, True])
def test_every_frame_corrupt(tmp_path: Path, noise: bool) -> None:
    path = clips.write(tmp_path / "clip.mp4", count=20)
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    begin, end = path.read_bytes().index(b"mdat") + 4, path.read_bytes().index(b"moov") - 4
    data[begin:end] = np.random.default_rng(0).integers(0, 256, end - begin) if noise else 0
    path.write_bytes(data.tobytes())
    with pytest.raises(TempoError, match=r"clip\.mp4: not one frame of this video can be decoded"):
        Video.open(path)


@pytest.mark.parametrize("suffix", KINDS)
def test_the_terminal_stays_quiet(tmp_path: Path, originals: dict[str, bytes], suffix: str) -> None:
    path = put(tmp_path, originals[suffix], suffix)
    overwrite(path, 0.3, 0.6, noise=True)
    program = (
        "import sys; from tempo.video.video import Video; video = Video.open(sys.argv[1]);"
        "print(sum(len(batch) for batch in video.stream(video.sample(fps=5.0), chunk=4)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert int(result.stdout) > 10
    assert result.stderr == ""
