"""Pictures of a camera one behind the other are a video; a photograph with something attached is not."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import clips
from tempo.video.video import Video


def jpeg(index: int, size: tuple[int, int] = (160, 96), **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(clips.picture(index, size)).save(buffer, "JPEG", quality=92, **options)
    return buffer.getvalue()


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x010F] = "a camera"
    tags[0x0112] = orientation
    return tags


def bare(pictures: list[bytes]) -> bytes:
    return b"".join(pictures)


def padded(pictures: list[bytes]) -> bytes:
    return b"".join(picture + bytes(-len(picture) % 512) for picture in pictures)


def parts(pictures: list[bytes], end: bytes = b"\r\n") -> bytes:
    """What an IP camera answers, as curl stores it."""
    head = b"--frame" + end + b"Content-Type: image/jpeg" + end + b"Content-Length: %d" + end * 2
    return b"".join(head % len(picture) + picture + end for picture in pictures)


def parts_after_the_first_header(pictures: list[bytes]) -> bytes:
    data = parts(pictures)
    return data[data.index(b"\xff\xd8") :]


@pytest.mark.parametrize("name", ["a.mjpeg", "a.jpg", "a"])
@pytest.mark.parametrize("joined", [bare, padded, parts, parts_after_the_first_header])
def test_a_stream_of_pictures(tmp_path: Path, joined: Callable[[list[bytes]], bytes], name: str) -> None:
    path = tmp_path / name
    path.write_bytes(joined([jpeg(i) for i in range(30)]))
    video = Video.open(path)
    assert (video.kind, video.duration, video.frame_count) == ("video", pytest.approx(1.2), 30)
    (batch,) = video.stream(video.sample(fps=25.0), chunk=100)
    assert clips.indices(batch.frames) == list(range(30))
    np.testing.assert_allclose(batch.times, np.arange(30) / 25, atol=1e-6)
    assert not video.damage


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 1), (8, 3)])
def test_a_stream_of_pictures_with_exif(tmp_path: Path, orientation: int, turns: int) -> None:
    """PyAV has no name for Exif beside a frame and then shows nothing of what is beside it."""
    pictures = []
    for i in range(4):
        buffer = io.BytesIO()
        stored = Image.fromarray(np.rot90(clips.picture(i), turns).copy())
        stored.save(buffer, "JPEG", quality=92, exif=exif(orientation))
        pictures.append(buffer.getvalue())
    (tmp_path / "a.mjpeg").write_bytes(bare(pictures))
    video = Video.open(tmp_path / "a.mjpeg")
    assert (video.kind, video.width, video.height) == ("video", 160, 96)
    (batch,) = video.stream(video.sample(fps=25.0), chunk=100)
    assert clips.indices(batch.frames) == [0, 1, 2, 3]


def test_a_stream_that_is_cut_off(tmp_path: Path) -> None:
    data = bare([jpeg(i) for i in range(10)])
    (tmp_path / "a.mjpeg").write_bytes(data[: len(data) - len(jpeg(9)) - 500])
    video = Video.open(tmp_path / "a.mjpeg")
    (batch, *_) = video.stream(video.sample(fps=25.0), chunk=100)
    assert clips.indices(batch.frames[:8]) == list(range(8))


def with_another_view(path: Path) -> bytes:
    first, *others = [Image.fromarray(clips.picture(i)) for i in (7, 8)]
    first.save(path, "MPO", save_all=True, append_images=others)
    return path.read_bytes()


def with_zeroes(path: Path) -> bytes:
    return jpeg(7) + bytes(5000)


def with_a_film(path: Path) -> bytes:
    """A motion photo."""
    return jpeg(7) + clips.write(path, count=10).read_bytes()


def with_a_preview(path: Path) -> bytes:
    return jpeg(7) + jpeg(7, (80, 48))


def with_a_named_picture(path: Path) -> bytes:
    """A picture of its own size in a trailer with a name, as Samsung's phones write them."""
    return jpeg(7) + b"\0\0\x01\x0a\x0e\0\0\0DualShot_JPEG_" + jpeg(8)


def with_its_original(path: Path) -> bytes:
    """A picture of its own size in a container that its XMP declares."""
    xmp = b'<x:xmpmeta xmlns:Container="http://ns.google.com/photos/1.0/container/"/>'
    segment = b"http://ns.adobe.com/xap/1.0/\0" + xmp
    head = jpeg(7)
    return head[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + head[2:] + jpeg(8)


def with_a_thumbnail(path: Path) -> bytes:
    """A thumbnail of its own size within Exif, before the picture itself."""
    segment = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + jpeg(8)
    head = jpeg(7)
    return head[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + head[2:]


@pytest.mark.parametrize(
    "attach",
    [
        with_another_view,
        with_zeroes,
        with_a_film,
        with_a_preview,
        with_a_named_picture,
        with_its_original,
        with_a_thumbnail,
    ],
)
def test_a_photograph_with_something_attached(tmp_path: Path, attach: Callable[[Path], bytes]) -> None:
    (tmp_path / "a.jpg").write_bytes(attach(tmp_path / "attached.mp4"))
    video = Video.open(tmp_path / "a.jpg")
    assert video.kind == "image"
    (batch,) = video.stream(video.sample(), chunk=10)
    assert clips.indices(batch.frames) == [7]
