"""Real files, made here: which frames come out, and with which times."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import clips
from tempo.errors import TempoError, UsageError
from tempo.video.video import FrameBatch, Sampling, Video


def watch(video: Video, times: list[float] | None = None, *, chunk: int = 7, **options: int) -> FrameBatch:
    """All frames in one batch."""
    sampling = video.sample(**options) if times is None else Sampling(np.array(times, np.float64), 2.0)
    batches = list(video.stream(sampling, chunk=chunk))
    assert all(len(batch) == chunk for batch in batches[:-1])
    return FrameBatch(
        np.concatenate([batch.frames for batch in batches]),
        np.concatenate([batch.times for batch in batches]),
    )


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("plain.mp4", "libx264", {}),
        ("hidden-b.mp4", "libx264", {"bf": "5", "b-pyramid": "normal", "g": "24"}),
        ("intra.mov", "libx264", {"g": "1"}),
        ("h264.mkv", "libx264", {"g": "10"}),
        ("h264.ts", "libx264", {"g": "10"}),
        ("h264.flv", "libx264", {"g": "10"}),
        ("hevc.mp4", "libx265", {"x265-params": "log-level=none:keyint=12:bframes=3"}),
        (
            "vp9.webm",
            "libvpx-vp9",
            {"g": "10", "cpu-used": "8", "lag-in-frames": "8"},
        ),
        ("vp8.webm", "libvpx", {"g": "10", "auto-alt-ref": "1", "cpu-used": "8", "lag-in-frames": "8"}),
        ("av1.mp4", "libsvtav1", {"preset": "12", "g": "10"}),
        ("mpeg4.avi", "mpeg4", {"bf": "2", "g": "10", "qscale": "2"}),
        ("mpeg4.mp4", "mpeg4", {"bf": "2", "g": "10", "qscale": "2"}),
        ("mpeg2.mpg", "mpeg2video", {"bf": "2", "g": "10", "qscale": "2"}),
        ("motion-jpeg.avi", "mjpeg", {}),
        ("raw.h264", "libx264", {"bf": "0"}),
        ("lossless.mkv", "ffv1", {}),
    ],
)
def test_every_frame_and_every_fourth_of_common_formats(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = clips.write(tmp_path / name, codec=codec, options=options, count=40, rate=25, pix_fmt=pix_fmt)
    video = Video.open(path)
    assert (video.width, video.height, video.kind) == (160, 96, "video")
    assert video.duration == pytest.approx(1.6, abs=0.09)
    assert video.frame_rate == pytest.approx(25, rel=0.01)

    for step in (1, 4, 13):
        wanted = list(range(0, 40, step))
        watched = watch(video, [index / 25 + 0.001 for index in wanted])
        assert clips.indices(watched.frames) == wanted
        np.testing.assert_allclose(watched.times, np.array(wanted) / 25, atol=2e-3)
        assert not video.damage


def test_a_moment_takes_the_last_frame_that_has_appeared(tmp_path: Path) -> None:
    video = Video.open(clips.write(tmp_path / "clip.mp4", count=30, rate=10))
    watched = watch(video, [0.0, 0.099, 0.1, 0.19, 0.2, 2.9, 2.95])
    assert clips.indices(watched.frames) == [0, 0, 1, 1, 2, 29, 29]
    # A frame that is taken again is still on screen at that later moment.
    np.testing.assert_allclose(watched.times, [0, 0.099, 0.1, 0.19, 0.2, 2.9, 2.95], atol=1e-9)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_variable_frame_rate(tmp_path: Path, suffix: str) -> None:
    ticks = [0, 40, 80, 700, 710, 720, 2000, 2500, 2501, 4000, 4033, 4066]
    path = clips.write(
        tmp_path / f"variable.{suffix}", ticks=ticks, time_base=Fraction(1, 1000), rate=30, options={"g": "4"}
    )
    presented = [tick / 1000 for tick in ticks]
    moments = [0.5 * i for i in range(9)] + [4.05]
    watched = watch(Video.open(path), moments)
    wanted = clips.shown_at(presented, moments)
    assert clips.indices(watched.frames) == wanted
    # Its own time where a frame is seen first, the moment itself where it is still on screen.
    expected = [presented[i] if i not in wanted[:n] else moments[n] for n, i in enumerate(wanted)]
    np.testing.assert_allclose(watched.times, expected, atol=1e-3)


def test_time_zero_is_where_the_player_begins(tmp_path: Path) -> None:
    """A transport stream's clock begins anywhere: the first frame is at 0 nevertheless."""
    path = clips.write(tmp_path / "offset.ts", count=20, rate=10, options={"g": "5"})
    video = Video.open(path)
    watched = watch(video, fps=10.0)
    assert clips.indices(watched.frames) == list(range(20))
    np.testing.assert_allclose(watched.times, np.arange(20) / 10, atol=1e-3)
    assert video.duration == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_pictures_that_begin_after_the_sound(tmp_path: Path, suffix: str) -> None:
    path = clips.write(
        tmp_path / f"late.{suffix}", ticks=range(5, 25), time_base=Fraction(1, 10), rate=10, sound=(0.0, 2.5)
    )
    video = Video.open(path)
    watched = watch(video, fps=2.0)
    assert clips.indices(watched.frames) == [0, 5, 10, 15]
    np.testing.assert_allclose(watched.times, [0.5, 1.0, 1.5, 2.0], atol=0.03)
    assert video.duration == pytest.approx(2.5, abs=0.1)


def test_frames_that_an_edit_list_hides(tmp_path: Path) -> None:
    """Cut in the middle of a group of pictures: what comes before the cut is decoded, and never shown."""
    path = clips.write(
        tmp_path / "cut.mp4",
        ticks=range(-7, 33),
        time_base=Fraction(1, 10),
        rate=10,
        options={"g": "20"},
        container_options={"avoid_negative_ts": "disabled"},
    )
    video = Video.open(path)
    watched = watch(video, fps=10.0)
    assert clips.indices(watched.frames) == list(range(7, 40))
    np.testing.assert_allclose(watched.times, np.arange(33) / 10, atol=1e-3)
    assert clips.indices(watch(video, [0.05, 2.55]).frames) == [7, 32]
    assert not video.damage


def test_a_size_that_changes_on_the_way(tmp_path: Path) -> None:
    """All frames come in the size of the first."""
    small = clips.write(tmp_path / "small.h264", count=10, rate=25, options={"bf": "0"})
    large = clips.write(tmp_path / "large.h264", count=10, rate=25, size=(320, 192), options={"bf": "0"})
    path = tmp_path / "both.h264"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    video = Video.open(path)
    frames = watch(video, [i / 25 + 0.01 for i in range(20)]).frames
    assert frames.shape == (20, 96, 160, 3)
    assert clips.indices(frames) == [*range(10), *range(10)]


@pytest.mark.parametrize(
    ("matrix", "store"),
    [
        ((0, 1, -1, 0), lambda upright: np.rot90(upright, 1)),  # a phone held upright: turn clockwise to show
        ((-1, 0, 0, -1), lambda upright: np.rot90(upright, 2)),
        ((0, -1, 1, 0), lambda upright: np.rot90(upright, -1)),
        ((-1, 0, 0, 1), lambda upright: upright[:, ::-1]),
        ((0, 1, 1, 0), lambda upright: upright.swapaxes(0, 1)),
    ],
)
@pytest.mark.parametrize("size", [None, (80, 48)])
def test_rotation(
    tmp_path: Path,
    matrix: tuple[int, ...],
    store: Callable[[np.ndarray], np.ndarray],
    size: tuple[int, int] | None,
) -> None:
    stored = store(clips.picture(0))
    path = clips.write(
        tmp_path / "turned.mp4",
        count=8,
        rate=8,
        size=(stored.shape[1], stored.shape[0]),
        draw=lambda index: np.ascontiguousarray(store(clips.picture(index))),
    )
    video = Video.open(clips.set_display_matrix(path, *matrix))
    assert (video.width, video.height) == (160, 96)
    (batch,) = video.stream(video.sample(fps=4), chunk=99, size=size)
    assert batch.frames.shape[1:3] == ((96, 160) if size is None else (48, 80))
    assert clips.indices(batch.frames) == [0, 2, 4, 6]


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "size"),
    [
        ("odd.mkv", "ffv1", "yuv420p", (161, 97)),
        ("odd.mp4", "libx264", "yuv444p", (161, 97)),
        ("ten-bit.mp4", "libx264", "yuv420p10le", (160, 96)),
        ("ten-bit-hevc.mp4", "libx265", "yuv420p10le", (160, 96)),
        ("four-two-two.mov", "prores_ks", "yuv422p10le", (160, 96)),
    ],
)
def test_sizes_and_depths(tmp_path: Path, name: str, codec: str, pix_fmt: str, size: tuple[int, int]) -> None:
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    path = clips.write(tmp_path / name, codec=codec, pix_fmt=pix_fmt, size=size, count=12, options=options)
    video = Video.open(path)
    assert (video.width, video.height) == size
    assert clips.indices(watch(video, [i / 30 for i in range(12)]).frames) == list(range(12))


def test_gray(tmp_path: Path) -> None:
    path = clips.write(
        tmp_path / "gray.mkv",
        codec="ffv1",
        pix_fmt="gray",
        draw=lambda i: np.full((96, 160, 3), 20 * i, np.uint8),
        count=12,
    )
    frames = watch(Video.open(path), [i / 30 for i in range(12)]).frames
    assert np.ptp(frames.astype(int), axis=-1).max() == 0
    np.testing.assert_allclose(frames[:, 48, 80, 0], np.arange(12) * 20, atol=2)


@pytest.mark.parametrize(
    "colour", [(255, 0, 0), (0, 200, 30), (10, 40, 250), (128, 128, 128), (250, 240, 10)]
)
def test_colours_come_back(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    path = clips.write(tmp_path / "flat.mp4", count=4, draw=lambda _: np.full((96, 160, 3), colour, np.uint8))
    frames = watch(Video.open(path)).frames
    np.testing.assert_allclose(frames[:, 48, 80].astype(int), [colour] * 4, atol=6)


def test_scaling_while_converting_is_the_mean_of_the_area(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (3, 12, 20, 3), np.uint8).repeat(16, 1).repeat(16, 2)
    path = clips.write(
        tmp_path / "blocks.mkv",
        codec="ffv1",
        pix_fmt="yuv444p",
        size=(320, 192),
        count=3,
        draw=lambda i: pictures[i],
    )
    video = Video.open(path)
    (batch,) = video.stream(Sampling(np.arange(3) / 30, 30.0), chunk=9, size=(20, 12))
    assert batch.frames.shape == (3, 12, 20, 3)
    np.testing.assert_allclose(batch.frames.astype(int), pictures[:, ::16, ::16].astype(int), atol=5)


def test_published_sampling(tmp_path: Path) -> None:
    video = Video.open(clips.write(tmp_path / "ten.mp4", count=100, rate=10))
    sampling = video.sample()
    np.testing.assert_allclose(sampling.times, np.arange(20) / 2)
    assert sampling.fps == 2.0
    # Above the cap: evenly from the first frame to the last.
    watched = watch(video, max_frames=12)
    assert clips.indices(watched.frames) == [0, 9, 18, 27, 36, 45, 54, 63, 72, 81, 90, 99]
    assert video.sample(max_frames=12).fps == pytest.approx(11 / 9.9)
    # Below the floor: the same.
    assert clips.indices(watch(video, fps=0.1).frames) == [0, 33, 66, 99]


def test_fewer_frames_than_the_floor_are_taken_once_each(tmp_path: Path) -> None:
    video = Video.open(clips.write(tmp_path / "two.mp4", count=2, rate=10))
    assert clips.indices(watch(video, min_frames=8).frames) == [0, 1]


def test_size_and_rate_do_not_change_what_is_seen(tmp_path: Path) -> None:
    """Small batches, large batches: the same frames."""
    video = Video.open(clips.write(tmp_path / "clip.mp4", count=60, options={"g": "12"}))
    whole = watch(video, fps=7.0, chunk=100)
    for chunk in (1, 2, 5):
        parts = watch(video, fps=7.0, chunk=chunk)
        assert (parts.frames == whole.frames).all()
        assert (parts.times == whole.times).all()


@pytest.mark.parametrize("options", [{"fps": 0}, {"fps": math.nan}, {"fps": -1.0}, {"fps": math.inf}])
def test_a_rate_that_can_never_work(options: dict[str, float]) -> None:
    video = Video.from_frames(np.zeros((4, 8, 8, 3), np.uint8), fps=2.0)
    with pytest.raises(UsageError, match=r"fps must be a positive number"):
        video.sample(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"max_frames": 0}, {"min_frames": 0}, {"max_frames": -3}])
def test_a_count_that_can_never_work(options: dict[str, int]) -> None:
    video = Video.from_frames(np.zeros((4, 8, 8, 3), np.uint8), fps=2.0)
    with pytest.raises(UsageError, match=rf"{next(iter(options))} must be"):
        video.sample(**options)


def test_stream_options() -> None:
    video = Video.from_frames(np.zeros((4, 8, 8, 3), np.uint8), fps=2.0)
    with pytest.raises(UsageError, match="chunk"):
        video.stream(video.sample(), chunk=0)
    with pytest.raises(UsageError, match="size"):
        video.stream(video.sample(), chunk=1, size=(0, 4))


def test_fingerprint_follows_the_content(tmp_path: Path) -> None:
    first = clips.write(tmp_path / "a.mp4", count=5)
    copy = tmp_path / "b.mp4"
    copy.write_bytes(first.read_bytes())
    other = clips.write(tmp_path / "c.mp4", count=6)
    assert Video.open(first).fingerprint == Video.open(copy).fingerprint
    assert Video.open(first).fingerprint != Video.open(other).fingerprint


def test_opening_says_what_it_is(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", count=30)
    assert "160x96, 1.000 s" in repr(Video.open(path))
    assert Video.open(f"file://{path}").duration == pytest.approx(1.0)
    with pytest.raises(TempoError, match="rtsp"):
        Video.open("rtsp://example.org/a")
