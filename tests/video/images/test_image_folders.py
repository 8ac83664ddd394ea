"""Folders of images with all that lies about in them."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import clips
from tempo.errors import TempoError
from tempo.video.video import Video


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six images, a second each."""
    for i in range(6):
        Image.fromarray(clips.picture(i)).save(tmp_path / f"{i}.png")
    return tmp_path


def watch(path: Path) -> tuple[Video, list[int], list[float]]:
    video = Video.open(path)
    batches = list(video.stream(video.sample(), chunk=100))
    frames = np.concatenate([batch.frames for batch in batches])
    return video, clips.indices(frames), np.concatenate([batch.times for batch in batches]).tolist()


def broken(path: Path) -> None:
    path.write_bytes(b"broken")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere.png")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def too_large(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[16:24] = b"\0\0\xff\xff" * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path.write_bytes(data)


def a_film(path: Path) -> None:
    clips.write(path.with_suffix(".mp4"), count=4).replace(path)


@pytest.mark.parametrize("where", [0, 3])
@pytest.mark.parametrize("spoil", [broken, cut, empty, directory, dangling, pipe, itself, too_large, a_film])
def test_what_is_no_image_is_counted_as_one_that_is_lost(
    folder: Path, spoil: Callable[[Path], None], where: int
) -> None:
    spoil(folder / f"{where}.png")
    video, indices, times = watch(folder)
    assert video.duration == 6.0
    assert indices == times == [i for i in range(6) if i != where]
    assert video.damage.spans == ((where, where + 1.0),)
    assert video.damage.moments == 1
    assert video.damage.reasons == (f"{where}.png cannot be read",)
    assert len(video.fingerprint) == 64


def test_a_fingerprint_changes_when_an_image_comes_back(folder: Path) -> None:
    target = folder / "elsewhere" / "3.png"
    target.parent.mkdir()
    (folder / "3.png").rename(target)
    (folder / "3.png").symlink_to(target)
    before = Video.open(folder).fingerprint
    target.rename(target.with_name("away.png"))
    without = Video.open(folder).fingerprint
    target.with_name("away.png").rename(target)
    assert without != before == Video.open(folder).fingerprint


def test_not_one_image(folder: Path) -> None:
    for path in folder.iterdir():
        broken(path)
    with pytest.raises(
        TempoError, match=r"none of the 6 images in this folder can be decoded; the first: .*0\.png"
    ):
        Video.open(folder)


@pytest.fixture
def readable_by_all() -> Iterator[Path]:
    """A folder that another user reaches, which those of pytest are not."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def as_a_user() -> Iterator[None]:
    """Permissions mean nothing to root."""
    if sys.platform == "win32":
        pytest.skip("there are no such permissions")
    if os.geteuid() != 0:
        yield
        return
    Image.init()  # while its plugins can still be read
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("where", [0, 2])
def test_an_image_that_may_not_be_read(
    readable_by_all: Path, where: int, request: pytest.FixtureRequest
) -> None:
    for i in range(4):
        Image.fromarray(clips.picture(i)).save(readable_by_all / f"{i}.png")
    (readable_by_all / f"{where}.png").chmod(0)
    request.getfixturevalue("as_a_user")
    video, indices, _ = watch(readable_by_all)
    assert indices == [i for i in range(4) if i != where]
    assert video.damage.spans == ((where, where + 1.0),)
    assert len(video.fingerprint) == 64
    with pytest.raises(TempoError, match=r"may|not readable|cannot be read"):
        Video.open(readable_by_all / f"{where}.png")


def test_a_folder_that_may_not_be_read(readable_by_all: Path, request: pytest.FixtureRequest) -> None:
    (readable_by_all / "inner").mkdir(mode=0)
    request.getfixturevalue("as_a_user")
    with pytest.raises(TempoError, match=r"inner: the folder cannot be read \(Permission denied\)"):
        Video.open(readable_by_all / "inner")


def test_images_of_other_proportions_are_fitted_in(tmp_path: Path) -> None:
    """Between landscapes, a portrait stands in the middle with black at its sides and is not stretched."""
    sizes = [(160, 96), (96, 160), (320, 192), (320, 96)]
    for i, size in enumerate(sizes):
        Image.fromarray(clips.picture(i, size)).save(tmp_path / f"{i}.png")
    video = Video.open(tmp_path)
    for wanted in (None, (80, 48)):
        (batch,) = video.stream(video.sample(), chunk=10, size=wanted)
        height, width = batch.frames.shape[1:3]
        for frame, (w, h), index in zip(batch.frames, sizes, range(4), strict=True):
            scale = min(width / w, height / h)
            left, top = round((width - w * scale) / 2), round((height - h * scale) / 2)
            inner = frame[top : height - top, left : width - left]
            assert clips.index_of(inner) == index
            for edge in (frame[: max(0, top - 1)], frame[:, : max(0, left - 1)]):
                assert edge.max(initial=0) == 0


def test_photographs_turned_by_exif(tmp_path: Path) -> None:
    for i, orientation in enumerate([1, 3, 6, 8]):
        exif = Image.Exif()
        exif[0x0112] = orientation
        turns = {1: 0, 3: 2, 6: 1, 8: 3}[orientation]
        Image.fromarray(np.rot90(clips.picture(i), turns).copy()).save(tmp_path / f"IMG {i} ü.jpg", exif=exif)
    video, indices, _ = watch(tmp_path)
    assert (video.width, video.height) == (160, 96)
    assert indices == [0, 1, 2, 3]


def test_heic_among_others(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    Image.fromarray(clips.picture(0)).save(tmp_path / "IMG_0.JPG", format="JPEG")
    heif.from_pillow(Image.fromarray(clips.picture(1))).save(tmp_path / "IMG_1.HEIC")
    assert watch(tmp_path)[1] == [0, 1]
