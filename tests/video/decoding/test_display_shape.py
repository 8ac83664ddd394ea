"""The shape of pictures: circles come out round, whatever the pixels' shape and however a picture changes."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
import pytest

import clips
from tempo.reporting.plot.thumbnails import thumbnail
from tempo.video.clips import cut
from tempo.video.decoding.display_shape import fit, pixel_aspect, square
from tempo.video.sampling import Sampling
from tempo.video.video import Video


def circle(shown: tuple[int, int], stored: tuple[int, int]) -> np.ndarray:
    """A red circle with a green upper half in a gray picture that is shown as large as `shown`, squeezed into
    `stored` (width, height)."""
    x = (np.arange(stored[0]) + 0.5) * shown[0] / stored[0] - shown[0] / 2
    y = (np.arange(stored[1]) + 0.5) * shown[1] / stored[1] - shown[1] / 2
    inside = x**2 + y[:, None] ** 2 < (0.4 * min(shown)) ** 2
    picture = np.full((stored[1], stored[0], 3), 100, np.uint8)
    picture[inside] = (220, 30, 30)
    picture[inside & (y[:, None] < 0)] = (30, 200, 30)
    return picture


def assert_round(frame: np.ndarray, stretch: float = 1.0) -> None:
    """`stretch`: how many times wider than high it has to be."""
    weight = np.ptp(frame.astype(float), axis=-1)
    weight[weight < 50] = 0
    rows, columns = np.arange(frame.shape[0]), np.arange(frame.shape[1])
    middle = np.average(columns, weights=weight.sum(0)), np.average(rows, weights=weight.sum(1))
    width = np.average((columns - middle[0]) ** 2, weights=weight.sum(0)) ** 0.5
    height = np.average((rows - middle[1]) ** 2, weights=weight.sum(1)) ** 0.5
    assert width / height == pytest.approx(stretch, rel=0.04)
    assert frame[round(middle[1] - height), round(middle[0]), 1] > 130, "not upright"


def write(
    path: Path, stored: tuple[int, int], aspect: Fraction, codec: str = "libx264", count: int = 3, **more: Any
) -> Path:
    """A circle that is round where pixels have that aspect, which encoder and container are told."""
    shown = (round(stored[0] * aspect), stored[1])
    with av.open(str(path), "w", format=more.get("format")) as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height = stored
        stream.pix_fmt = more.get("pix_fmt", "yuv420p")
        stream.options = more.get("options", {})
        stream.codec_context.sample_aspect_ratio = more.get("told", aspect)
        for _ in range(count):
            drawn = more.get("draw", lambda picture: picture)(circle(shown, stored))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(drawn), "rgb24")))
        container.mux(stream.encode())
    return path


def ffmpeg(*arguments: object) -> None:
    binary = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([binary, "-v", "error", "-y", *map(str, arguments)], check=True, timeout=60)


def frames(video: Video, count: int = 1, size: tuple[int, int] | None = None) -> np.ndarray:
    (batch,) = video.stream(Sampling(np.arange(count) / 25 + 0.001, 25.0), chunk=count, size=size)
    return batch.frames


@pytest.mark.parametrize(
    ("name", "codec", "stored", "aspect", "shown"),
    [
        ("dvd-wide.mpg", "mpeg2video", (360, 288), Fraction(64, 45), (512, 288)),
        ("dvd.vob", "mpeg2video", (360, 288), Fraction(16, 15), (384, 288)),
        ("dv.avi", "dvvideo", (720, 480), Fraction(8, 9), (720, 540)),
        ("dv.mov", "dvvideo", (720, 480), Fraction(32, 27), (853, 480)),
        ("hdv.ts", "libx264", (360, 270), Fraction(4, 3), (480, 270)),
        ("half.mp4", "libx264", (176, 288), Fraction(24, 11), (384, 288)),
        ("tall.mkv", "libx264", (320, 120), Fraction(1, 2), (320, 240)),
        ("wide.webm", "libvpx-vp9", (160, 144), Fraction(2), (320, 144)),
        ("wide.mp4", "mpeg4", (160, 144), Fraction(2), (320, 144)),
        ("wide.h264", "libx264", (160, 144), Fraction(2), (320, 144)),
    ],
)
def test_pixels_that_are_not_square(
    tmp_path: Path,
    name: str,
    codec: str,
    stored: tuple[int, int],
    aspect: Fraction,
    shown: tuple[int, int],
) -> None:
    pix_fmt = "yuv411p" if codec == "dvvideo" else "yuv420p"
    path = write(tmp_path / name, stored, aspect, codec, pix_fmt=pix_fmt)
    if path.suffix == ".webm":  # VP9 itself says nothing about its pixels
        path = tmp_path / "told.webm"
        ffmpeg("-i", tmp_path / name, "-c", "copy", "-aspect", f"{shown[0]}:{shown[1]}", path)
    video = Video.open(path)
    assert (video.width, video.height) == shown
    (full,) = frames(video)
    assert full.shape == (shown[1], shown[0], 3)
    assert_round(full)
    # As large as it is asked for; the model's sizes are about the video's proportions.
    (squeezed,) = frames(video, size=(120, 120))
    assert_round(squeezed, stretch=shown[1] / shown[0])
    small = thumbnail(video, 0, 0.02)
    assert small is not None
    assert_round(small.pixels)


@pytest.mark.parametrize("matrix", [(0, 1, -1, 0), (0, -1, 1, 0)])
def test_pixels_that_are_not_square_in_a_turned_picture(tmp_path: Path, matrix: tuple[int, ...]) -> None:
    turn = 1 if matrix[1] > 0 else -1
    stored, aspect = (180, 160), Fraction(3, 2)
    shown = np.rot90(circle((160, 270), (160, 180)), turn)  # upright, the pixels are higher than wide
    assert shown.shape[:2] == (stored[1], stored[0])
    path = write(tmp_path / "turned.mp4", stored, aspect, draw=lambda _: shown)
    video = Video.open(clips.set_display_matrix(path, *matrix))
    assert (video.width, video.height) == (160, 270)
    assert_round(frames(video)[0])


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_the_container_decides_over_the_pictures(tmp_path: Path, suffix: str) -> None:
    """As in players: DVDs are wrapped anew with another shape of their pixels."""
    made = write(tmp_path / "made.mp4", (180, 160), Fraction(2), told=Fraction(4, 3), count=8)
    path = tmp_path / f"told.{suffix}"
    ffmpeg("-i", made, "-c", "copy", "-aspect", "360:160", path)
    video = Video.open(path)
    assert (video.width, video.height) == (360, 160)
    for frame in frames(video, 8):
        assert_round(frame)


@pytest.mark.parametrize("told", [Fraction(1, 100), Fraction(60, 1), Fraction(65535, 2)])
def test_pixels_of_an_absurd_shape_are_taken_for_square(tmp_path: Path, told: Fraction) -> None:
    video = Video.open(write(tmp_path / "absurd.mp4", (160, 120), Fraction(1), told=told))
    assert (video.width, video.height) == (160, 120)
    assert_round(frames(video)[0])


def test_which_aspect_and_which_size() -> None:
    assert pixel_aspect(None, Fraction(16, 15), Fraction(2)) == Fraction(16, 15)
    assert pixel_aspect(Fraction(1000), Fraction(4, 3)) == Fraction(4, 3)
    assert pixel_aspect(None, None) == 1
    assert square((720, 576), Fraction(64, 45)) == (1024, 576)
    assert square((720, 480), Fraction(8, 9)) == (720, 540)
    assert square((1, 1), Fraction(1)) == (1, 1)
    # Shown in a frame of 320×180, which is asked for at 160×90 and at the model's 160×96.
    assert fit((640, 360), frame=(320, 180), pixels=(160, 90)) == (160, 90)
    assert fit((180, 320), frame=(320, 180), pixels=(160, 90)) == (51, 90)
    assert fit((640, 180), frame=(320, 180), pixels=(160, 96)) == (160, 48)
    # A size that was rounded to whole blocks has no bars.
    assert fit((426, 240), frame=(1280, 720), pixels=(640, 360)) == (640, 360)
    assert fit((4000, 2), frame=(320, 180), pixels=(160, 90)) == (160, 1)


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("webm", "libvpx"),
        ("h264", "libx264"),
        ("ts", "mpeg2video"),
        ("mp4", "libx264"),
        ("mkv", "libx265"),
    ],
)
def test_a_picture_that_changes_its_shape_is_fitted_into_the_first(
    tmp_path: Path, suffix: str, codec: str
) -> None:
    """Calls that are recorded go from wide to tall and to smaller sizes, broadcasts from 4:3 to 16:9."""
    shapes = [((320, 180), Fraction(1)), ((180, 320), Fraction(1)), ((160, 90), Fraction(1))]
    if codec == "mpeg2video":
        shapes = [
            ((360, 288), Fraction(16, 15)),
            ((360, 288), Fraction(64, 45)),
            ((240, 192), Fraction(16, 15)),
        ]
    path = tmp_path / f"all.{suffix}"
    if suffix == "webm":
        _write_changing_vp8(path, [shape for shape, _ in shapes])
    else:
        options = {"x265-params": "log-level=none:bframes=0"} if codec == "libx265" else {"bf": "0"}
        ending = "h264" if suffix == "h264" else "ts"
        parts = [
            write(tmp_path / f"{i}.{ending}", shape, aspect, codec, count=10, options=options)
            for i, (shape, aspect) in enumerate(shapes)
        ]
        if suffix == "h264":
            path.write_bytes(b"".join(part.read_bytes() for part in parts))
        else:  # on one clock
            listed = tmp_path / "list.txt"
            listed.write_text("".join(f"file '{part}'\n" for part in parts))
            ffmpeg("-f", "concat", "-safe", "0", "-i", listed, "-c", "copy", path)
    video = Video.open(path)
    first = square(*shapes[0])
    assert (video.width, video.height) == first
    batch = frames(video, 30)
    for at in (0, 9, 12, 19, 22, 29):
        assert_round(batch[at])
    upper = batch[[2, 12, 22], 2, video.width // 2].astype(int)
    side = batch[[2, 12, 22], video.height // 2, 2].astype(int)
    if codec == "mpeg2video":
        assert upper[1].max() < 10, "bars above and below"
        assert (upper[[0, 2]].min(), side.min()) > (80, 80)
    else:
        assert side[1].max() < 10, "bars on both sides"
        assert (side[[0, 2]].min(), upper.min()) > (80, 80)


def _write_changing_vp8(path: Path, shapes: list[tuple[int, int]]) -> None:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libvpx", rate=25)
        stream.width, stream.height = shapes[0]
        stream.pix_fmt = "yuv420p"
        for number, shape in enumerate(shapes):
            encoder: Any = av.CodecContext.create("libvpx", "w")
            encoder.width, encoder.height = shape
            encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 25)
            encoder.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
            for i in range(10):
                frame = av.VideoFrame.from_ndarray(circle(shape, shape), format="rgb24")
                frame.pts, frame.time_base = number * 10 + i, Fraction(1, 25)
                for packet in encoder.encode(frame):
                    packet.stream = stream
                    container.mux(packet)


def test_a_phone_that_is_turned_while_it_records(tmp_path: Path) -> None:
    """The turn is told with each keyframe, as a message beside the picture."""
    parts = []
    for i, turned in enumerate((False, True, False)):
        shown = circle((90, 160), (90, 160)) if turned else circle((160, 90), (160, 90))
        stored = np.rot90(shown) if turned else shown
        made = write(
            tmp_path / f"{i}.h264",
            (160, 90),
            Fraction(1),
            count=10,
            draw=lambda _, stored=stored: stored,
            options={"bf": "0"},
        )
        told = tmp_path / f"told-{i}.h264"
        message = "display_orientation=insert:rotate=" + ("-90" if turned else "0")
        ffmpeg("-i", made, "-c", "copy", "-bsf:v", f"h264_metadata={message}", told)
        parts.append(told.read_bytes())
    path = tmp_path / "turning.h264"
    path.write_bytes(b"".join(parts))
    video = Video.open(path)
    assert (video.width, video.height) == (160, 90)
    batch = frames(video, 30)
    for at in (0, 9, 12, 19, 22, 29):
        assert_round(batch[at])
    assert batch[12, 45, 2].max() < 10, "bars on both sides"
    assert batch[[2, 22], 45, 2].min() > 80


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "ts", "avi"])
def test_clips_keep_their_shape(tmp_path: Path, suffix: str) -> None:
    made = write(
        tmp_path / "made.mp4",
        (180, 160),
        Fraction(2),
        told=Fraction(2) if suffix in ("ts", "avi") else Fraction(4, 3),
        count=50,
        options={"g": "10", "bf": "0"},
    )
    path = tmp_path / f"a.{suffix}"
    # Only the container says so, where there is room for it there.
    ffmpeg("-i", made, "-c", "copy", *([] if suffix in ("ts", "avi") else ["-aspect", "360:160"]), path)
    (tmp_path / "clips").mkdir()
    clip = cut(Video.open(path), 0.8, 1.6, tmp_path / "clips")
    assert list((tmp_path / "clips").iterdir()) == [clip.path]
    shown = Video.open(clip.path)
    assert (shown.width, shown.height) == (360, 160)
    assert_round(frames(shown)[0])
