"""Colours: what was drawn comes out, whatever matrix, range, primaries and transfer a file uses.

The code values in the files are computed here from the standards, or by FFmpeg's zscale filter, which the
package does not use.
"""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path
from typing import Any

import av
import av.filter
import imageio_ffmpeg
import numpy as np
import pytest

from tempo.video.clips import cut
from tempo.video.sampling import Sampling
from tempo.video.video import Video

NEAR = 45  # of 255, in each component: how near HDR comes to what it was
BLOCK = 16  # pixels, of one colour
PALETTE = [
    (220, 40, 40),
    (40, 190, 50),
    (30, 60, 210),
    (230, 220, 40),
    (30, 200, 200),
    (190, 50, 190),
    (255, 255, 255),
    (128, 128, 128),
    (40, 40, 40),
    (0, 0, 0),
    (225, 172, 150),  # skin
    (92, 64, 51),
]
WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])  # of BT.709
P3 = np.array([[0.8225, 0.1774, 0.0], [0.0332, 0.9669, 0.0], [0.0171, 0.0724, 0.9108]])  # of BT.709


def blocks(colours: Any) -> np.ndarray:
    """float [16, 16·n, 3] from 0 to 1: a row of blocks."""
    return np.array(colours, float)[None].repeat(BLOCK, 0).repeat(BLOCK, 1) / 255


def seen(path: Path, size: tuple[int, int] | None = None, count: int = 1) -> np.ndarray:
    """int [n, 3]: the middle of every block, of the last of `count` frames."""
    video = Video.open(path)
    (batch,) = video.stream(Sampling(np.arange(count) / 25 + 0.001, 25.0), chunk=count, size=size)
    frame = batch.frames[-1]
    step = BLOCK * frame.shape[1] // video.width
    return frame[frame.shape[0] // 2, step // 2 :: step].astype(int)


def linear(colour: np.ndarray) -> np.ndarray:
    return np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)


def gamma(light: np.ndarray) -> np.ndarray:
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def pq(light: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084: cd/m² → signal."""
    root = np.clip(light / 1e4, 0, 1) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * root) / (1 + 2392 / 128 * root)) ** (2523 / 32)


def hlg(light: np.ndarray) -> np.ndarray:
    """ITU-R BT.2100: cd/m² of a display of 1000 → signal."""
    shown = light / 1000
    luminance = np.maximum(shown @ [0.2627, 0.6780, 0.0593], 1e-12)[..., None]
    scene = np.clip(shown * luminance ** (1 / 1.2 - 1), 0, 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)


def write(
    path: Path,
    signal: np.ndarray,
    *,
    matrix: int,
    depth: int = 8,
    full: bool = False,
    codec: str = "ffv1",
    pix_fmt: str | None = None,
    tags: tuple[int, int, int] | None = None,
    count: int = 1,
    options: dict[str, str] | None = None,
) -> Path:
    """R'G'B' from 0 to 1 → Y'CbCr without subsampling by `matrix`, tagged (matrix, primaries, transfer)."""
    red, blue = WEIGHTS.get(matrix, WEIGHTS[5])
    luma = signal @ [red, 1 - red - blue, blue]
    chroma = [(signal[..., 2] - luma) / (2 - 2 * blue), (signal[..., 0] - luma) / (2 - 2 * red)]
    top, scale = 2**depth - 1, 2 ** (depth - 8)
    middle = 128 * scale
    if full:
        planes = [luma * top, *(part * top + middle for part in chroma)]
    else:
        planes = [(16 + 219 * luma) * scale, *((224 * part) * scale + middle for part in chroma)]
    told = tags or (matrix, 1, 1)
    height, width = luma.shape
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height = width, height
        form = "yuv444p" if depth == 8 else f"yuv444p{depth}le"
        if pix_fmt == "yuvj444p":
            form = pix_fmt
        stream.pix_fmt = pix_fmt or form
        stream.options = options or {}
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc = told
        context.color_range = 2 if full else 1
        for _ in range(count):
            frame = av.VideoFrame(width, height, form)
            frame.colorspace, frame.color_range = told[0], 2 if full else 1
            for plane, values in zip(frame.planes, planes, strict=True):
                kind = np.uint8 if depth == 8 else np.dtype("<u2")
                rows = np.zeros((height, plane.line_size // np.dtype(kind).itemsize), kind)
                rows[:, :width] = np.clip(np.round(values), 0, top)
                plane.update(rows.tobytes())
            container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        container.mux(stream.encode())
    return path


def ffmpeg(*arguments: object) -> None:
    binary = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([binary, "-v", "error", "-y", *map(str, arguments)], check=True, timeout=60)


@pytest.mark.parametrize("size", [None, (96, 8)])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", [1, 5, 6, 7, 9])
def test_matrix_and_range(tmp_path: Path, matrix: int, full: bool, size: tuple[int, int] | None) -> None:
    path = write(tmp_path / "a.mkv", blocks(PALETTE), matrix=matrix, full=full)
    assert np.abs(seen(path, size) - PALETTE).max() <= 3


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9", "mpeg2video", "mjpeg", "prores_ks"])
def test_matrix_and_range_as_codecs_tell_them(tmp_path: Path, codec: str) -> None:
    depth, full = (10 if codec == "prores_ks" else 8), codec == "mjpeg"
    matrix = 5 if full else 1
    name = {"libvpx-vp9": "a.webm", "mpeg2video": "a.ts"}.get(codec, "a.mov")
    pix_fmt = {"prores_ks": "yuv422p10le", "mjpeg": "yuvj444p"}.get(codec, "yuv420p")
    path = write(
        tmp_path / name,
        blocks(PALETTE).repeat(2, 0).repeat(2, 1),
        matrix=matrix,
        full=full,
        depth=depth,
        codec=codec,
        pix_fmt=pix_fmt,
        count=8,
        options={
            "libx265": {"x265-params": "log-level=none"},
            "mjpeg": {"qmin": "1", "q": "1"},
            "mpeg2video": {"q": "1", "qmin": "1"},
        }.get(codec),
    )
    assert np.abs(seen(path)[1::2] - PALETTE).max() <= 12


@pytest.mark.parametrize("matrix", [3, 8, 10, 12, 14, 16, 200])
def test_a_matrix_that_nobody_knows_is_no_fault(tmp_path: Path, matrix: int) -> None:
    path = write(tmp_path / "a.mkv", blocks([(128, 128, 128)] * 4), matrix=5, tags=(matrix, 1, 1))
    assert np.abs(seen(path) - 128).max() <= 2


@pytest.mark.parametrize("white", [100, 203])
@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_comes_out_near_to_what_it_was(tmp_path: Path, transfer: int, white: int) -> None:
    """SDR's white is at 100 cd/m² in films and at 203 where ITU-R BT.2408 is followed."""
    light = linear(blocks(PALETTE)) @ BT2020.T * white
    signal = {16: pq, 18: hlg}[transfer](light)
    path = write(tmp_path / "hdr.mkv", signal, matrix=9, depth=10, tags=(9, 9, transfer))
    for size in (None, (96, 8)):
        assert np.abs(seen(path, size) - PALETTE).max() <= NEAR
    black = seen(path)[9]
    assert black.max() <= 2


@pytest.mark.parametrize("white", ["", ":npl=100", ":npl=203"])
@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
@pytest.mark.parametrize(
    ("codec", "suffix"), [("libx265", "mp4"), ("libx264", "mov"), ("libvpx-vp9", "webm")]
)
def test_a_red_circle_that_ffmpeg_turned_to_hdr_is_red(
    tmp_path: Path, codec: str, suffix: str, transfer: str, white: str
) -> None:
    path = tmp_path / f"red.{suffix}"
    quiet = ("-x265-params", "log-level=none") if codec == "libx265" else ()
    ffmpeg(
        *("-f", "lavfi", "-i", "color=c=0xDC2828:s=64x64:r=25:d=0.2,format=gbrp", "-vf"),
        "setparams=color_primaries=bt709:color_trc=bt709:colorspace=gbr:range=pc,"
        f"zscale=p=bt2020:t={transfer}:m=bt2020nc:r=limited{white},format=yuv420p10le",
        *("-c:v", codec, *quiet, path),
    )
    assert np.abs(seen(path) - (220, 40, 40)).max() <= NEAR


@pytest.mark.parametrize("transfer", [16, 18])
def test_brighter_stays_brighter_and_grey_stays_grey(tmp_path: Path, transfer: int) -> None:
    levels = np.array([1, 3, 10, 30, 60, 100, 150, 203, 300, 450, 700, 950], float)
    light = np.repeat(levels, BLOCK)[None, :, None].repeat(BLOCK, 0).repeat(3, 2)
    path = write(
        tmp_path / "ramp.mkv", {16: pq, 18: hlg}[transfer](light), matrix=9, depth=10, tags=(9, 9, transfer)
    )
    shown = seen(path)
    assert np.ptp(shown, axis=1).max() <= 2
    assert np.diff(shown.mean(1)).min() > 0
    assert shown[-1].min() >= 252


def test_more_light_than_there_is_room_for_is_white(tmp_path: Path) -> None:
    light = np.full((BLOCK, BLOCK, 3), 4000.0)
    path = write(tmp_path / "sun.mkv", pq(light), matrix=9, depth=10, tags=(9, 9, 16))
    assert seen(path).min() >= 254


@pytest.mark.parametrize(("matrix", "primaries", "gamut"), [(9, 9, BT2020), (9, 2, BT2020), (1, 12, P3)])
def test_wide_gamuts_of_sdr(tmp_path: Path, matrix: int, primaries: int, gamut: np.ndarray) -> None:
    signal = gamma(linear(blocks(PALETTE)) @ gamut.T)
    path = write(tmp_path / "wide.mkv", signal, matrix=matrix, depth=10, tags=(matrix, primaries, 1))
    assert np.abs(seen(path) - PALETTE).max() <= 12  # pure colours lie on the edge of the table


@pytest.mark.parametrize("tags", [(2, 2, 2), (1, 1, 1), (1, 1, 14)])
def test_ten_bits_alone_are_not_hdr(tmp_path: Path, tags: tuple[int, int, int]) -> None:
    path = write(tmp_path / "ten.mkv", blocks(PALETTE), matrix=1 if tags[0] == 1 else 5, depth=10, tags=tags)
    assert np.abs(seen(path) - PALETTE).max() <= 3


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
@pytest.mark.parametrize("codec", ["libx264", "libx265", "prores_ks"])
def test_hdr_that_only_the_container_tells(tmp_path: Path, codec: str, suffix: str) -> None:
    if (codec, suffix) == ("prores_ks", "mp4"):
        pytest.skip("no such files")
    light = linear(blocks([(220, 40, 40)] * 4)).repeat(4, 0) @ BT2020.T * 203
    plain, told = tmp_path / "plain.mkv", tmp_path / f"told.{suffix}"
    pix_fmt = "yuv422p10le" if codec == "prores_ks" else "yuv420p10le"
    write(plain, pq(light), matrix=9, depth=10, codec=codec, pix_fmt=pix_fmt, tags=(2, 2, 2), count=3)
    colours = ("-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc")
    ffmpeg("-i", plain, "-c", "copy", *colours, told)
    with av.open(str(told)) as container:
        context = container.streams.video[0].codec_context
        if context.color_trc == 2:
            pytest.skip("this version of libav lets the bitstream overrule the container")
    assert np.abs(seen(told) - (220, 40, 40)).max() <= NEAR


def test_without_the_filter_the_colours_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    colours = list(itertools.product((30, 120, 200), repeat=3))
    light = linear(blocks(colours)) @ BT2020.T * 203
    path = write(tmp_path / "hdr.mkv", pq(light), matrix=9, depth=10, tags=(9, 9, 16))
    filtered = seen(path)
    monkeypatch.setattr(av.filter, "filters_available", av.filter.filters_available - {"haldclut"})
    np.testing.assert_allclose(seen(path), filtered, atol=10)


def test_a_picture_that_turns_to_hdr_on_the_way(tmp_path: Path) -> None:
    """Broadcasts do, from the advertisements to the film."""
    sdr = write(tmp_path / "0.ts", blocks(PALETTE).repeat(4, 0), matrix=1, depth=10, **_broadcast((1, 1, 1)))
    light = linear(blocks(PALETTE).repeat(4, 0)) @ BT2020.T * 203
    hdr = write(tmp_path / "1.ts", hlg(light), matrix=9, depth=10, **_broadcast((9, 9, 18)))
    listed, path = tmp_path / "list.txt", tmp_path / "both.ts"
    listed.write_text(f"file '{sdr}'\nfile '{hdr}'\n")
    ffmpeg("-f", "concat", "-safe", "0", "-i", listed, "-c", "copy", path)
    if not hasattr(av.VideoFrame, "color_trc"):
        pytest.skip("this version of PyAV does not say it of frames")
    video = Video.open(path)
    (batch,) = video.stream(Sampling(np.arange(10) / 25 + 0.001, 25.0), chunk=10)
    middles = batch.frames[:, 8, BLOCK // 2 :: BLOCK].astype(int)
    assert np.abs(middles[:5] - PALETTE).max() <= 12
    assert np.abs(middles[5:] - PALETTE).max() <= NEAR


def _broadcast(tags: tuple[int, int, int]) -> dict[str, Any]:
    options = {"x265-params": "log-level=none:bframes=0"}
    return {"tags": tags, "codec": "libx265", "pix_fmt": "yuv444p10le", "count": 5, "options": options}


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov", "ts"])
def test_clips_keep_their_colours(tmp_path: Path, suffix: str) -> None:
    light = linear(blocks(PALETTE).repeat(4, 0)) @ BT2020.T * 203
    path = write(
        tmp_path / f"a.{suffix}",
        hlg(light),
        matrix=9,
        depth=10,
        tags=(9, 9, 18),
        codec="libx265",
        pix_fmt="yuv444p10le",
        count=50,
        options={"x265-params": "log-level=none:keyint=10:bframes=0"},
    )
    clip = cut(Video.open(path), 0.8, 1.6, tmp_path)
    assert clip.copied
    np.testing.assert_allclose(seen(clip.path), seen(path), atol=12)
    with av.open(str(clip.path)) as container:
        next(container.decode(video=0))
        assert container.streams.video[0].codec_context.color_trc == 18  # as players will see it


def test_a_clip_that_is_encoded_anew_says_what_its_colours_are(tmp_path: Path) -> None:
    light = linear(blocks(PALETTE).repeat(4, 0)) @ BT2020.T * 203
    path = write(tmp_path / "a.nut", pq(light), matrix=9, depth=10, tags=(9, 9, 16), count=20)
    expected = seen(path)
    clip = cut(Video.open(path), 0.2, 0.6, tmp_path)
    assert not clip.copied
    with av.open(str(clip.path)) as container:
        frame = next(container.decode(video=0))
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc) == (1, 1, 1)
    # By the matrix that it names, from the code values themselves.
    luma, blue, red = (
        np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, plane.line_size) for plane in frame.planes
    )
    step = BLOCK // 2
    y = (luma[BLOCK, step::BLOCK][: len(PALETTE)] - 16.0) / 219
    b = (blue[step, step // 2 :: step][: len(PALETTE)] - 128.0) / 224
    r = (red[step, step // 2 :: step][: len(PALETTE)] - 128.0) / 224
    decoded = np.stack([y + 1.5748 * r, y - 0.1873 * b - 0.4681 * r, y + 1.8556 * b], axis=-1) * 255
    np.testing.assert_allclose(decoded.clip(0, 255), expected, atol=16)
