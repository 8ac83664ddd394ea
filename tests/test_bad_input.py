"""What cannot be watched is refused in one line that names it and says what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import clips
from tempo.errors import TempoError, UsageError
from tempo.video.video import Video


def missing(path: Path) -> Path:
    return path / "missing.mp4"


def empty(path: Path) -> Path:
    (path / "empty.mp4").write_bytes(b"")
    return path / "empty.mp4"


def without_index(path: Path) -> Path:
    """An MP4 file whose recording was cut off: the index at its end is missing."""
    clip = clips.write(path / "clip.mp4", count=20)
    clip.write_bytes(clip.read_bytes()[: clip.read_bytes().index(b"moov")])
    return clip


def text(path: Path) -> Path:
    (path / "text.mp4").write_text("This is no video.\n" * 100)
    return path / "text.mp4"


def text_that_libav_would_draw(path: Path) -> Path:
    (path / "text.txt").write_text("This is no video.\n" * 100)
    return path / "text.txt"


def noise(path: Path) -> Path:
    (path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(100_000))
    return path / "noise.mp4"


def sound(path: Path) -> Path:
    clip = path / "sound.m4a"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        clips.add_sound(container, stream, 0, 1)
    return clip


def subtitles(path: Path) -> Path:
    (path / "a.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nhello\n")
    return path / "a.srt"


def playlist(path: Path) -> Path:
    (path / "a.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:9/a.ts\n")
    return path / "a.m3u8"


def folder_without_images(path: Path) -> Path:
    (path / "folder").mkdir()
    (path / "folder" / "notes.txt").write_text("nothing to see")
    return path / "folder"


def cut_image(path: Path) -> Path:
    picture = path / "picture.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(picture)
    picture.write_bytes(picture.read_bytes()[:2000])
    return picture


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (missing, "no such file"),
        (empty, "the file is empty"),
        (without_index, "cut off"),
        (text, "not a video"),
        (text_that_libav_would_draw, "no video in this file"),
        (noise, "not a video"),
        (sound, "only sound"),
        (subtitles, "no video"),
        (playlist, "playlist"),
        (folder_without_images, "no images"),
        (cut_image, "cannot be decoded"),
    ],
)
def test_refused_in_one_line(tmp_path: Path, make: Callable[[Path], Path], says: str) -> None:
    path = make(tmp_path)
    with pytest.raises(TempoError, match=says) as caught:
        Video.open(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert ";" in message, "and what to do about it"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/clip.mp4", "https://127.0.0.1:9/clip.mp4"])
def test_an_address_that_nobody_answers(url: str) -> None:
    with pytest.raises(TempoError, match="cannot be fetched") as caught:
        Video.open(url)
    assert str(caught.value).startswith(url)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_frame_rate_that_can_never_work(tmp_path: Path, rate: float) -> None:
    with pytest.raises(UsageError, match="frame_rate must be a positive number"):
        Video.open(tmp_path, frame_rate=rate)


def test_a_frame_rate_for_a_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="for folders of images"):
        Video.open(clips.write(tmp_path / "clip.mp4", count=4), frame_rate=2.0)


def test_no_path() -> None:
    with pytest.raises(UsageError, match="empty"):
        Video.open("")


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((4, 8, 8, 3), np.float32),
        np.zeros((4, 8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((0, 8, 8, 3), np.uint8),
        [[1, 2, 3]],
    ],
)
def test_arrays_that_are_no_frames(frames: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"uint8 \[T, H, W, 3\]"):
        Video.from_frames(frames, fps=2.0)


def test_names_that_look_like_patterns_or_addresses(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "50%d:odd #1.mp4", count=8)
    assert Video.open(path).frame_count == 8
