"""When every picture of an animation is shown, what is in it, and what is left of a damaged one."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, features

import clips
from tempo.errors import TempoError
from tempo.video.video import Sampling, Video

DELAYS = [500, 40, 200, 1200, 300, 70, 2000, 90]  # milliseconds
STARTS = np.cumsum([0, *DELAYS[:-1]]) / 1000
FORMATS = ["gif", "png", "webp", pytest.param("avif", marks=pytest.mark.skipif(
    not features.check("avif"), reason="this Pillow has no AVIF"))]  # fmt: skip


def animation(path: Path, delays: Sequence[int] = DELAYS, **options: object) -> Path:
    first, *others = [Image.fromarray(clips.picture(i)) for i in range(len(delays))]
    if path.suffix == ".webp":
        options["lossless"] = True
    first.save(path, save_all=True, append_images=others, duration=list(delays), loop=0, **options)
    return path


def shown(video: Video, rate: float = 100.0) -> list[tuple[int, int]]:
    """(index, how many moments it is there) of every picture that is shown, at `rate` moments a second."""
    times = np.arange(0.0, video.duration - 1e-6, 1 / rate)
    runs: list[tuple[int, int]] = []
    for batch in video.stream(Sampling(times, rate), chunk=64):
        for index in clips.indices(batch.frames):
            if runs and runs[-1][0] == index:
                runs[-1] = (index, runs[-1][1] + 1)
            else:
                runs.append((index, 1))
    return runs


def frames(video: Video, count: int) -> list[np.ndarray]:
    """The pictures of an animation that shows each of them for 100 ms."""
    (batch,) = video.stream(Sampling(np.arange(count) / 10, 10.0), chunk=count)
    return list(batch.frames)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_picture_has_its_own_delay(tmp_path: Path, suffix: str) -> None:
    video = Video.open(animation(tmp_path / f"a.{suffix}"))
    assert video.duration == pytest.approx(sum(DELAYS) / 1000)
    assert video.frame_count == len(DELAYS)
    assert shown(video) == [(i, delay // 10) for i, delay in enumerate(DELAYS)]
    (batch,) = video.stream(Sampling(STARTS, 1.0), chunk=100)
    np.testing.assert_allclose(batch.times, STARTS, atol=1e-9)
    assert not video.damage


@pytest.mark.parametrize("suffix", FORMATS)
def test_opening_decodes_the_first_picture_alone(tmp_path: Path, suffix: str) -> None:
    """A picture that cannot be decoded is found when it is watched, and the length is right all the same."""
    path = animation(tmp_path / f"a.{suffix}")
    last_picture(path, suffix)
    video = Video.open(path)
    assert video.duration == pytest.approx(sum(DELAYS) / 1000)
    assert [index for index, _ in shown(video)] == list(range(len(DELAYS) - 1))
    assert video.damage.spans == (pytest.approx((STARTS[-1], sum(DELAYS) / 1000)),)


def last_picture(path: Path, suffix: str) -> None:
    """Damage the coded data of the last picture, and nothing around it."""
    data = bytearray(path.read_bytes())
    if suffix == "gif":
        at, length = data.rindex(b"\x21\xf9\x04") + 8 + 10, 40
        at += 3 << ((data[at - 1] & 7) + 1) if data[at - 1] & 0x80 else 0
        data[at + 2 : at + 2 + length] = b"\xff" * length
    elif suffix == "png":
        at = data.rindex(b"fdAT") + 8
        data[at : at + 20] = b"\xff" * 20
    elif suffix == "webp":
        at = data.rindex(b"VP8L") + 8 + 5
        data[at : at + 200] = b"\xff" * len(data[at : at + 200])
    else:
        data[-24:] = b"\xff" * 24
    path.write_bytes(data)


@pytest.mark.parametrize("delay", [0, 10])
@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_no_delay_is_a_tenth_of_a_second(tmp_path: Path, suffix: str, delay: int) -> None:
    video = Video.open(animation(tmp_path / f"a.{suffix}", [delay] * 4))
    assert video.duration == pytest.approx(0.4)
    assert shown(video) == [(i, 10) for i in range(4)]


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_an_animation_of_one_picture_is_a_still_image(tmp_path: Path, suffix: str) -> None:
    video = Video.open(animation(tmp_path / f"a.{suffix}", [700]))
    assert (video.kind, video.duration, video.frame_count) == ("image", 0.0, 1)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def scanlines(pixels: np.ndarray) -> bytes:
    return zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels))


Layer = tuple[
    int, int, np.ndarray, int, int
]  # x, y, pixels, disposal, and the blending or transparent colour


def apng(path: Path, size: tuple[int, int], layers: list[Layer], default: np.ndarray | None = None) -> Path:
    """RGBA pictures of 100 ms; `default`: a picture that is no part of the animation."""
    header = struct.pack(">IIBBBBB", *size, 8, 6, 0, 0, 0)
    data = [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), chunk(b"acTL", struct.pack(">II", len(layers), 0))]
    if default is not None:
        data.append(chunk(b"IDAT", scanlines(default)))
    number = 0
    for i, (x, y, pixels, disposal, blending) in enumerate(layers):
        box = (pixels.shape[1], pixels.shape[0], x, y)
        data.append(chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, *box, 1, 10, disposal, blending)))
        number += 1
        if i == 0 and default is None:
            data.append(chunk(b"IDAT", scanlines(pixels)))
        else:
            data.append(chunk(b"fdAT", struct.pack(">I", number) + scanlines(pixels)))
            number += 1
    path.write_bytes(b"".join([*data, chunk(b"IEND", b"")]))
    return path


def apng_canvases(size: tuple[int, int], layers: list[Layer]) -> list[np.ndarray]:
    """What its specification says is on the canvas, RGBA, with pixels that are opaque or transparent."""
    canvas, shown = np.zeros((size[1], size[0], 4), np.uint8), []
    for i, (x, y, pixels, disposal, blending) in enumerate(layers):
        before = canvas.copy()
        region = canvas[y : y + pixels.shape[0], x : x + pixels.shape[1]]
        drawn = pixels[..., 3] > 0 if blending else np.full(pixels.shape[:2], True)
        region[drawn] = pixels[drawn]
        shown.append(canvas.copy())
        if disposal == 1 or (disposal == 2 and i == 0):
            region[:] = 0
        elif disposal == 2:
            canvas = before
    return shown


def over_white(canvas: np.ndarray) -> np.ndarray:
    return np.where(canvas[..., 3:] > 0, canvas[..., :3], 255).astype(np.uint8)


@pytest.mark.parametrize("with_default", [False, True])
def test_layers_of_png(tmp_path: Path, with_default: bool) -> None:
    """Disposals and blendings as drawn; a picture that is no part of the animation leaves nothing behind."""
    random, size = np.random.default_rng(0), (8, 6)
    for _ in range(25):
        layers: list[Layer] = []
        for i in range(4):
            x, y, w, h = random_box(random, size) if i else (0, 0, *size)
            pixels = random.integers(0, 256, (h, w, 4), np.uint8)
            pixels[..., 3] = random.integers(0, 2, (h, w)) * 255
            layers.append((x, y, pixels, int(random.integers(3)), int(random.integers(2))))
        default = random.integers(0, 256, (6, 8, 4), np.uint8) if with_default else None
        video = Video.open(apng(tmp_path / "a.png", size, layers, default))
        assert (video.frame_count, video.duration) == (4, pytest.approx(0.4))
        for frame, canvas in zip(frames(video, 4), apng_canvases(size, layers), strict=True):
            assert (frame == over_white(canvas)).all()


def random_box(random: np.random.Generator, size: tuple[int, int]) -> tuple[int, int, int, int]:
    x, y = int(random.integers(size[0] - 1)), int(random.integers(size[1] - 1))
    return x, y, int(random.integers(1, size[0] - x + 1)), int(random.integers(1, size[1] - y + 1))


def test_half_transparent_layers_of_png(tmp_path: Path) -> None:
    """Laid over a cleared canvas they keep their colour, and over a picture they mix with it."""
    half = np.full((6, 8, 4), (200, 0, 0, 128), np.uint8)
    blue = np.full((6, 8, 4), (0, 0, 240, 255), np.uint8)
    layers: list[Layer] = [(0, 0, half, 1, 1), (0, 0, half, 1, 1), (0, 0, blue, 0, 0), (0, 0, half, 0, 1)]
    first, second, third, fourth = frames(Video.open(apng(tmp_path / "a.png", (8, 6), layers)), 4)
    for frame in (first, second):
        np.testing.assert_allclose(frame[3, 3].astype(int), (227, 127, 127), atol=2)
    np.testing.assert_allclose(third[3, 3].astype(int), (0, 0, 240), atol=0)
    np.testing.assert_allclose(fourth[3, 3].astype(int), (100, 0, 120), atol=2)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "I;16"])
def test_modes_of_animated_png(tmp_path: Path, mode: str) -> None:
    gray = [np.asarray(Image.fromarray(clips.picture(i)).convert("L")) for i in range(4)]
    if mode == "I;16":
        pictures = [Image.fromarray(values.astype(np.uint16) * 257) for values in gray]
    else:
        pictures = [Image.fromarray(clips.picture(i)).convert(mode) for i in range(4)]
    pictures[0].save(tmp_path / "a.png", save_all=True, append_images=pictures[1:], duration=100)
    for i, frame in enumerate(frames(Video.open(tmp_path / "a.png"), 4)):
        wanted = clips.picture(i) if mode in ("RGB", "P") else gray[i][..., None].repeat(3, -1)
        np.testing.assert_allclose(frame.astype(int), wanted.astype(int), atol=2)


def test_a_default_image_that_is_no_part_of_the_animation(tmp_path: Path) -> None:
    path = animation(tmp_path / "a.png", [900, *DELAYS], default_image=True)
    video = Video.open(path)
    assert video.duration == pytest.approx(sum([900, *DELAYS][: len(DELAYS)]) / 1000)
    assert [index for index, _ in shown(video)] == list(range(1, len(DELAYS) + 1))
    single = apng(tmp_path / "b.png", (160, 96), [(0, 0, rgba(7), 0, 0)], rgba(3))
    video = Video.open(single)
    assert video.kind == "image"
    assert clips.indices(np.stack(frames(video, 1))) == [7]


def rgba(index: int) -> np.ndarray:
    return np.dstack([clips.picture(index), np.full((96, 160), 255, np.uint8)])


PALETTE = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)]


def gif(path: Path, size: tuple[int, int], layers: list[Layer], *, trailer: bytes = b";") -> Path:
    """Pictures of 100 ms in the colours of PALETTE; the last entry of a layer is the transparent one."""
    data = b"GIF89a" + struct.pack("<HHBBB", *size, 0x81, 0, 0) + bytes(sum(PALETTE, ()))
    for x, y, colours, disposal, transparent in layers:
        data += b"!\xf9\x04" + struct.pack(
            "<BHBB", disposal << 2 | (transparent >= 0), 10, max(transparent, 0), 0
        )
        data += b"," + struct.pack("<HHHHB", x, y, colours.shape[1], colours.shape[0], 0) + b"\2"
        codes = []
        for i, colour in enumerate(colours.ravel().tolist()):
            codes += [4, colour] if i % 2 == 0 else [colour]  # cleared so often that codes keep three bits
        packed = sum(code << (3 * i) for i, code in enumerate([*codes, 5]))
        lzw = packed.to_bytes((3 * len(codes) + 3 + 7) // 8, "little")
        data += (
            b"".join(bytes([len(lzw[i : i + 255])]) + lzw[i : i + 255] for i in range(0, len(lzw), 255))
            + b"\0"
        )
    path.write_bytes(data + trailer)
    return path


def test_layers_of_gif(tmp_path: Path) -> None:
    """As FFmpeg shows them, where the first picture has transparency; a picture without disposal stays."""
    random, size = np.random.default_rng(1), (8, 6)
    for _ in range(25):
        layers: list[Layer] = []
        for i in range(4):
            x, y, w, h = random_box(random, size) if i else (0, 0, *size)
            transparent = int(random.integers(4)) if i == 0 or random.random() < 0.5 else -1
            disposal = int(random.integers(4)) if transparent >= 0 else int(random.integers(2))
            layers.append((x, y, random.integers(0, 4, (h, w)), disposal, transparent))
        path = gif(tmp_path / "a.gif", size, layers)
        with av.open(str(path)) as container:
            canvases = [frame.to_ndarray(format="rgba") for frame in container.decode(video=0)]
        for frame, canvas in zip(frames(Video.open(path), 4), canvases, strict=True):
            assert (frame == over_white(canvas)).all()


def test_a_gif_that_grows_keeps_the_size_it_began_with(tmp_path: Path) -> None:
    small, large = np.zeros((6, 8), int), np.full((20, 30), 2)
    video = Video.open(gif(tmp_path / "a.gif", (8, 6), [(0, 0, small, 0, -1), (0, 0, large, 0, -1)]))
    assert (video.width, video.height) == (8, 6)
    first, second = frames(video, 2)
    assert (first == PALETTE[0]).all()
    assert (second == PALETTE[2]).all()


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_cut_off_at_any_place(tmp_path: Path, suffix: str) -> None:
    """What is left is shown, and something is said to be lost, unless not even one picture is there."""
    data = animation(tmp_path / f"whole.{suffix}").read_bytes()
    path = tmp_path / f"a.{suffix}"
    most = 0
    for length in np.linspace(20, len(data) - 20, 25).astype(int):
        path.write_bytes(data[:length])
        try:
            video = Video.open(path)
        except TempoError:
            assert most == 0
            continue
        pictures = [index for index, _ in shown(video)]
        assert pictures == list(range(len(pictures)))
        assert len(pictures) >= most
        assert video.damage or len(pictures) == len(DELAYS)
        most = len(pictures)
    assert most >= len(DELAYS) - 1


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif_with_damaged_pictures(tmp_path: Path) -> None:
    """Damage, or one line; what comes behind the next picture that stands for itself is shown."""
    data = animation(tmp_path / "whole.avif").read_bytes()
    begin = data.rindex(b"mdat") + 4
    path, random = tmp_path / "a.avif", np.random.default_rng(0)
    refused = damaged = 0
    for at in np.linspace(begin, len(data) - 60, 30).astype(int):
        changed = bytearray(data)
        changed[at : at + 50] = random.bytes(50)
        path.write_bytes(changed)
        try:
            video = Video.open(path)
            for batch in video.stream(Sampling(STARTS, 1.0), chunk=100):
                assert len(batch) <= len(DELAYS)
            damaged += bool(video.damage)
        except TempoError:
            refused += 1
    assert refused
    assert damaged
