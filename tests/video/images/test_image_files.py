"""Photographs as cameras and phones write them, what is refused for its size, and what is what."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, features

import clips
from tempo.errors import TempoError, UsageError
from tempo.video.video import Video

UPRIGHT = {  # how a picture has to be stored for each value of Exif's orientation
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def photograph(index: int, size: tuple[int, int] = (160, 96)) -> Image.Image:
    return Image.fromarray(clips.picture(index, size))


def turned(index: int, orientation: int) -> tuple[Image.Image, Image.Exif]:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turn = UPRIGHT[orientation]
    picture = photograph(index)
    return picture if turn is None else picture.transpose(turn), exif


def only(video: Video) -> np.ndarray:
    (batch,) = video.stream(video.sample(), chunk=10)
    assert batch.frames.shape == (1, video.height, video.width, 3)
    assert video.kind == "image"
    assert not video.damage
    return batch.frames[0]


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
def test_every_orientation(tmp_path: Path, suffix: str, orientation: int) -> None:
    image, exif = turned(9, orientation)
    image.save(tmp_path / f"a.{suffix}", exif=exif)
    video = Video.open(tmp_path / f"a.{suffix}")
    assert (video.width, video.height) == (160, 96)
    assert clips.index_of(only(video)) == 9


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_every_orientation_of_heic(tmp_path: Path, orientation: int) -> None:
    heif = pytest.importorskip("pillow_heif")
    image, exif = turned(9, orientation)
    with open(tmp_path / "a.heic", "wb") as file:
        heif.encode("RGB", image.size, image.tobytes(), file, exif=exif.tobytes(), quality=90)
    assert (b"irot" in (tmp_path / "a.heic").read_bytes()) == (orientation in (3, 5, 6, 7, 8))
    assert clips.index_of(only(Video.open(tmp_path / "a.heic"))) == 9


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_every_orientation_of_avif(tmp_path: Path, orientation: int) -> None:
    image, exif = turned(9, orientation)
    image.save(tmp_path / "a.avif", exif=exif)
    assert clips.index_of(only(Video.open(tmp_path / "a.avif"))) == 9


def tiles(path: Path, index: int = 77) -> Path:
    """A photograph of 330 by 198 in tiles of 128, as iPhones store theirs in tiles of 512."""
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(photograph(index, (330, 198))).save(path, tile_size=128)
    if b"grid" not in path.read_bytes():
        pytest.skip("this pillow-heif writes no tiles")
    return path


@pytest.mark.parametrize("name", ["a.heic", "a.HIF", "a.heif", "a.jpg", "without a suffix"])
def test_heic_made_of_tiles(tmp_path: Path, name: str) -> None:
    path = tiles(tmp_path / "made.heic").rename(tmp_path / name)
    video = Video.open(path)
    assert (video.width, video.height, video.duration) == (330, 198, 0.0)
    assert clips.index_of(only(video)) == 77


@pytest.mark.parametrize("brand", [b"heic", b"mif1", b"msf1"])
def test_brands_of_heic(tmp_path: Path, brand: bytes) -> None:
    data = bytearray(tiles(tmp_path / "a.heic").read_bytes())
    data[8:12] = brand
    (tmp_path / "a.heic").write_bytes(data)
    assert clips.index_of(only(Video.open(tmp_path / "a.heic"))) == 77


@pytest.mark.parametrize("brand", [b"msf1", b"hevc", b"heic"])
def test_sequences_of_heif_are_videos(tmp_path: Path, brand: bytes) -> None:
    path = clips.write(tmp_path / "a.mp4", count=8, rate=8, codec="libx265")
    data = bytearray(path.read_bytes())
    data[8:12] = brand
    path.rename(tmp_path / "a.heics").write_bytes(data)
    video = Video.open(tmp_path / "a.heics")
    (batch,) = video.stream(video.sample(fps=8.0), chunk=10)
    assert clips.indices(batch.frames) == list(range(8))


def test_heic_with_several_images_shows_its_primary_one(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    file = heif.HeifFile()
    for index, size in ((1, (320, 192)), (2, (640, 384)), (3, (160, 96))):
        file.add_from_pillow(photograph(index, size))
    file.save(tmp_path / "a.heic", primary_index=1)
    video = Video.open(tmp_path / "a.heic")
    assert (video.width, video.height) == (640, 384)
    assert clips.index_of(only(video)) == 2


def test_heic_that_is_cut_off(tmp_path: Path) -> None:
    path = tiles(tmp_path / "a.heic")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TempoError, match=r"a\.heic: the image cannot be decoded \(the file ends too early\)"):
        Video.open(path)


def test_heic_without_the_extra(tmp_path: Path) -> None:
    """One line that says how to install it, for a file and for a folder, and no part of the picture."""
    tiles(tmp_path / "a.heic")
    program = (
        "import sys; sys.modules['pillow_heif'] = None\n"
        "from tempo.errors import TempoError; from tempo.video.video import Video\n"
        "for path in sys.argv[1:]:\n"
        "    try: print(Video.open(path))\n"
        "    except TempoError as error: print(error)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a.heic"), str(tmp_path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for line in result.stdout.splitlines():
        assert "pip install 'tempo-video[heif]'" in line
    assert len(result.stdout.splitlines()) == 2
    assert result.stderr == ""


@pytest.mark.skipif(features.check("avif"), reason="this Pillow has AVIF")
def test_avif_that_pillow_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "a.avif").write_bytes(b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + bytes(100))
    with pytest.raises(TempoError, match=r"pip install -U 'pillow>=11\.3'"):
        Video.open(tmp_path / "a.avif")


def test_inverted_cmyk(tmp_path: Path) -> None:
    """As Photoshop writes it."""
    photograph(5).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    frame = only(Video.open(tmp_path / "a.jpg"))
    assert clips.index_of(frame) == 5
    with av.open(str(tmp_path / "a.jpg")) as container:
        (witness,) = container.decode(video=0)
    np.testing.assert_allclose(frame.astype(int), witness.to_ndarray(format="rgb24").astype(int), atol=6)


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_sixteen_bits_in_either_order(tmp_path: Path, order: str) -> None:
    """A picture with nothing in its upper byte is dark, not stretched."""
    values = np.tile(np.arange(0, 256, dtype=order), (20, 1))
    magic = b"II*\0" if order == "<u2" else b"MM\0*"
    end = order[0]
    entries = [
        (256, 256),
        (257, 20),
        (258, 16),
        (259, 1),
        (262, 1),
        (273, 150),
        (277, 1),
        (278, 20),
        (279, 10240),
    ]
    ifd = struct.pack(f"{end}H", len(entries))
    ifd += b"".join(struct.pack(f"{end}HHIHH", tag, 3, 1, value, 0) for tag, value in entries)
    head = magic + struct.pack(f"{end}I", 8) + ifd + bytes(4)
    (tmp_path / "a.tiff").write_bytes(head.ljust(150, b"\0") + values.tobytes())
    assert only(Video.open(tmp_path / "a.tiff")).max() <= 1


def test_numbers_that_are_none(tmp_path: Path) -> None:
    """Depth and height maps mark what was not measured so."""
    values = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (8, 1))
    values[:, 32] = np.nan
    Image.fromarray(values).save(tmp_path / "a.tiff")
    row = only(Video.open(tmp_path / "a.tiff"))[0, :, 0].astype(int)
    np.testing.assert_allclose(np.delete(row, 32), np.delete(np.linspace(0, 255, 64), 32), atol=1.5)


def test_exif_that_makes_no_sense(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    photograph(6).save(buffer, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\xff\xff" * 20)
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    assert clips.index_of(only(Video.open(tmp_path / "a.jpg"))) == 6


@pytest.mark.parametrize("name", ["a.mp4", "a.png", "a.gif", "ä 图 #1: 50 %.jpg", "a"])
def test_names_say_nothing(tmp_path: Path, name: str) -> None:
    photograph(12).save(tmp_path / name, format="JPEG")
    assert clips.index_of(only(Video.open(tmp_path / name))) == 12
    clips.write(tmp_path / "b.mp4", count=8).rename(tmp_path / name)
    assert Video.open(tmp_path / name).frame_count == 8


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "webp", "bmp", "tiff", "avif"])
def test_a_few_bytes_of_an_image(tmp_path: Path, suffix: str) -> None:
    if suffix == "avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    photograph(1).save(tmp_path / f"a.{suffix}")
    data = (tmp_path / f"a.{suffix}").read_bytes()
    for length in (1, 2, 3, 5, 9, 13, 17, 30):
        (tmp_path / f"a.{suffix}").write_bytes(data[:length])
        with pytest.raises(TempoError, match=rf"a\.{suffix}: "):
            Video.open(tmp_path / f"a.{suffix}")


def solid_png(path: Path, width: int, height: int) -> Path:
    """A black PNG of so many pixels in a few kilobytes."""
    compressor = zlib.compressobj(9)
    pixels = b"".join([compressor.compress(bytes(1 + width // 8 + 1)) for _ in range(height)])
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)),
        (b"IDAT", pixels + compressor.flush()),
        (b"IEND", b""),
    ]
    data = b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    return path


def large_gif(path: Path, side: int, pictures: int) -> Path:
    """A GIF of square pictures, of which each one changes a single pixel: 23 bytes each."""
    head = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + b"\xff\xff\xff\0\0\0"
    picture = b"!\xf9\4\0\x0a\0\0\0," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0"
    path.write_bytes(head + picture * pictures + b";")
    return path


def test_image_bombs(tmp_path: Path) -> None:
    """They are refused by their headers; the line says what is too large and how to allow it."""
    too_large = [
        (large_gif(tmp_path / "a.gif", 13_000, 200), "the picture is too large: 13,000 × 13,000 pixels"),
        (large_gif(tmp_path / "b.gif", 9_000, 200), "too large: 200 pictures of 9,000 × 9,000 pixels"),
        (solid_png(tmp_path / "a.png", 12_000, 12_000), "the picture is too large: 12,000 × 12,000 pixels"),
        (solid_png(tmp_path / "b.png", 200_000, 200_000 // 64), "the picture is too large: 200,000 × 3,125"),
    ]
    for path, says in too_large:
        tracemalloc.start()
        with pytest.raises(TempoError, match=says) as caught:
            Video.open(path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 10e6
        message = str(caught.value)
        assert "complete" not in message
        assert message.endswith("make it smaller, or raise TEMPO_IMAGE_MEGAPIXELS")


@pytest.mark.parametrize("side", [12_000, 20_000, 2**31 - 1])
@pytest.mark.parametrize("suffix", ["avif", "heic"])
def test_sizes_that_their_decoders_call_damage(tmp_path: Path, suffix: str, side: int) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix == "heic":
        tiles(path)
    elif features.check("avif"):
        photograph(1).save(path)
    else:
        pytest.skip("this Pillow has no AVIF")
    data = bytearray(path.read_bytes())
    at = data.rindex(b"ispe")
    data[at + 8 : at + 16] = struct.pack(">II", side, side)
    path.write_bytes(data)
    with pytest.raises(TempoError, match=f"the picture is too large: {side:,} × {side:,} pixels"):
        Video.open(path)


def test_a_picture_that_grows_beyond_the_limit(tmp_path: Path) -> None:
    """A GIF whose header is modest and whose last picture is not."""
    path = large_gif(tmp_path / "a.gif", 10, 3)
    data = path.read_bytes()
    path.write_bytes(data[:-15] + struct.pack("<HHHHB", 0, 0, 65_000, 65_000, 0) + data[-6:])
    with pytest.raises(TempoError, match="too large: 65,000 × 65,000 pixels"):
        Video.open(path)


def test_what_people_have_is_opened(tmp_path: Path) -> None:
    photo = solid_png(tmp_path / "photo.png", 12_000, 9_000)  # 108 megapixels
    program = "import sys; from tempo.video.video import Video; print(Video.open(sys.argv[1]))"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(photo)], capture_output=True, text=True, check=True
    )
    assert "12000x9000" in result.stdout
    assert result.stderr == ""
    assert Video.open(large_gif(tmp_path / "a.gif", 640, 3_000)).frame_count == 3_000


def test_bombs_of_formats_that_ffmpeg_reads(tmp_path: Path) -> None:
    """A QOI picture: one byte for 62 pixels."""
    head = b"qoif" + struct.pack(">IIBB", 12_000, 12_000, 3, 0)
    (tmp_path / "a.png").write_bytes(head + b"\xfd" * (12_000 * 12_000 // 62 + 1) + bytes(7) + b"\1")
    with pytest.raises(TempoError, match="the picture is too large: 12,000 × 12,000 pixels"):
        Video.open(tmp_path / "a.png")


def test_the_limit_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = solid_png(tmp_path / "a.png", 1_000, 600)
    monkeypatch.setenv("TEMPO_IMAGE_MEGAPIXELS", "0.5")
    with pytest.raises(TempoError, match=r"1,000 × 600 pixels, and the limit is 0\.5 megapixels"):
        Video.open(path)
    monkeypatch.setenv("TEMPO_IMAGE_MEGAPIXELS", "0.6")
    assert Video.open(path).kind == "image"
    monkeypatch.setenv("TEMPO_IMAGE_MEGAPIXELS", "200")
    assert Video.open(solid_png(tmp_path / "b.png", 13_500, 13_500)).width == 13_500


@pytest.mark.parametrize("value", ["", "0", "-1", "nan", "many"])
def test_limits_that_make_no_sense(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    photograph(1).save(tmp_path / "a.png")
    monkeypatch.setenv("TEMPO_IMAGE_MEGAPIXELS", value)
    with pytest.raises(UsageError, match=r"TEMPO_IMAGE_MEGAPIXELS=.* is not a number of megapixels"):
        Video.open(tmp_path / "a.png")
