"""What makes recordings differ beside codecs: groups of pictures, rates, clocks, tracks, layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

import clips

from . import headers, mp4
from .bitstreams import repeat_fields
from .cases import Case, case
from .recording import H264, WITH_B_FRAMES, Sound, Video, ffmpeg, write, written_then
from .shapes import Shape, irregular, steady

FIVE = steady(5)
NTSC = Fraction(30_000, 1001)


def structures() -> list[Case]:
    return [*groups(), *samples(), *rates(), *clocks_that_begin_late(), *tracks(), *layouts(), *turned()]


def _write(shape: Shape, video: Video, path: Path, **rest: object) -> None:
    write(path, shape, video, **rest)  # type: ignore[arg-type]


def _cases(name: str, suffixes: str, shape: Shape, video: Video, **rest: object) -> Iterator[Case]:
    """The same in several containers."""
    for suffix in suffixes.split():
        yield case(f"{name}.{suffix}", partial(_write, shape, video, **rest), shape, size=video.size)


def x264(options: str = "", **rest: str) -> Video:
    return Video(options={"x264-params": f"scenecut=0:{options}", **rest})


def groups() -> Iterator[Case]:
    """How pictures refer to one another."""
    yield from _cases("open-groups", "mp4 mkv ts", FIVE, x264("open-gop=1:b-adapt=0", bf="3", g="20"))
    hevc = "log-level=none:pools=1:keyint=20:min-keyint=20:bframes=4:open-gop=1:scenecut=0"
    yield from _cases("open-groups-hevc", "mp4 mkv ts", FIVE, Video("libx265", {"x265-params": hevc}))
    yield from _cases("refresh", "mp4 mkv ts", FIVE, x264("intra-refresh=1", g="20", refs="1"))
    yield from _cases("endless-group", "mp4 mkv ts flv", steady(20), x264("b-adapt=0", bf="3", g="1000"))
    yield from _cases("intra", "mp4 mov ts", FIVE, x264(g="1"))
    pyramid = x264("b-pyramid=normal:b-adapt=0:ref=5", bf="8", g="60")
    yield from _cases("pyramid", "mp4 mkv ts flv", FIVE, pyramid)
    hidden = {"g": "30", "lag-in-frames": "16", "auto-alt-ref": "1", "deadline": "good", "cpu-used": "5"}
    yield from _cases("hidden-frames", "webm mkv mp4", FIVE, Video("libvpx-vp9", hidden))
    yield from _cases("hidden-frames-vp8", "webm", FIVE, Video("libvpx", hidden))
    yield from _cases("slices", "mp4 ts", FIVE, x264("slices=4", bf="2"))


def samples() -> Iterator[Case]:
    """Depths, fields and sizes of pictures, and how few of them there can be."""
    for pixels in ("yuv420p10le", "yuv422p", "yuv444p", "yuv422p10le"):
        yield from _cases(f"x264-{pixels}", "mp4 mkv", FIVE, Video(pixels=pixels))
    yield from _cases("hevc-ten-bit", "mp4 mkv", FIVE, Video("libx265", pixels="yuv420p10le"))
    yield from _cases("av1-ten-bit", "mkv", FIVE, Video("libsvtav1", pixels="yuv420p10le"))
    yield from _cases("interlaced", "mp4 ts mkv", FIVE, x264("interlaced=1", preset="veryfast"))
    fields = Video("mpeg2video", {"flags": "+ildct+ilme", "bf": "2"})
    yield from _cases("interlaced-mpeg2", "ts mxf mkv", steady(5, 25), fields)
    yield from _cases("odd", "mp4 mkv", FIVE, Video(pixels="yuv444p", size=(161, 97)))
    yield from _cases("odd-ffv1", "mkv", FIVE, Video("ffv1", size=(161, 97)))
    yield from _cases("not-whole-blocks", "mp4 ts", FIVE, Video(size=(170, 90)))
    yield from _cases("tall", "mp4", FIVE, Video(size=(96, 256)))
    for count, name in ((1, "one-picture-mute"), (2, "two-pictures"), (3, "three-pictures")):
        shape = Shape(tuple(range(count)), Fraction(1, 12))
        # FFmpeg takes a transport stream of two pictures for too short to be one.
        suffixes = "mp4 mov mkv avi flv" if count < 3 else "mp4 mov mkv avi flv ts"
        yield from _cases(name, suffixes, shape, H264)
        yield from _cases(f"{name}-vp9", "webm", shape, Video("libvpx-vp9"))


def rates() -> Iterator[Case]:
    """Constant rates, high and low, and none."""
    for rate, name in ((Fraction(24_000, 1001), "23.976"), (NTSC, "29.97"), (2 * NTSC, "59.94")):
        yield from _cases(f"rate-{name}", "mp4 mkv ts flv avi", steady(4, rate), H264)
    yield from _cases("rate-29.97-mpeg2", "mpg ts mxf", steady(4, NTSC), Video("mpeg2video", {"bf": "0"}))
    yield from _cases("rate-120", "mp4 mkv ts", steady(3, 120), H264)
    yield from _cases("rate-240", "mov", steady(3, 240), WITH_B_FRAMES)
    yield from _cases("rate-1", "mp4 mkv ts flv avi", steady(20, 1), H264)
    yield from _cases("rate-1", "wmv", steady(20, 1), Video("wmv2"))
    yield from _cases("rate-0.2", "mp4 mkv ts flv", steady(60, Fraction(1, 5)), H264)
    yield from _cases("rate-1-b-frames", "mp4 mkv ts", steady(20, 1), WITH_B_FRAMES)
    milliseconds = [0, 40, 80, 700, 710, 720, 2000, 2500, 2501, 4000, 4033, 4066]
    varying = irregular(milliseconds, rate=1000, tail=33)
    for suffix in ("mp4", "mov", "mkv", "flv", "nut", "webm"):
        video = Video("libvpx") if suffix == "webm" else H264
        # Where no length is kept, the last picture stays for what is usual in the file.
        yield case(f"varying.{suffix}", partial(_write, varying, video), varying, end=(4.06, 4.5))
    alternating = irregular([tick for i in range(60) for tick in (5 * i, 5 * i + 2)], rate=60, tail=3)
    for suffix in ("mp4", "mkv", "ts", "mov"):
        build = partial(_write, alternating, WITH_B_FRAMES)
        yield case(f"alternating.{suffix}", build, alternating, end=(4.95, 5.02))
    # Films on television: every other picture stays for three fields instead of two.
    pulldown = Shape(tuple(5 * (i // 2) + 3 * (i % 2) for i in range(100)), Fraction(1001, 60_000), tail=2)
    telecine = Video("mpeg2video", {"flags": "+ildct", "bf": "0"})
    for suffix in ("ts", "mpg", "mkv"):
        yield case(
            f"telecine.{suffix}",
            partial(_write, pulldown, telecine, repack=repeat_fields),
            pulldown,
            end=(pulldown.end - 0.05, pulldown.end + 0.05),
        )


def clocks_that_begin_late() -> Iterator[Case]:
    """Clocks far from 0, and sound that begins before the pictures or after them."""
    far = FIVE.moved(93_600)
    for suffix, video in (("ts", H264), ("ts", WITH_B_FRAMES), ("mkv", H264), ("nut", H264), ("flv", H264)):
        name = f"far-clock{'-b-frames' if video is WITH_B_FRAMES else ''}.{suffix}"
        yield case(
            name,
            partial(
                _write,
                far,
                video,
                sound=Sound(93_600, 93_605) if suffix != "nut" else None,
                muxing={"avoid_negative_ts": "disabled"},
            ),
            FIVE,
        )
    late = FIVE.moved(Fraction(3, 2))
    for suffix, video in (
        ("mp4", WITH_B_FRAMES),
        ("mov", H264),
        ("mkv", H264),
        ("ts", H264),
        ("flv", H264),
        ("webm", Video("libvpx")),
        ("wmv", Video("wmv2")),
        ("mpg", Video("mpeg2video")),
    ):
        after, before = (late, FIVE) if suffix != "mpg" else (steady(5, 25).moved(2), steady(5, 25))
        within = 0.09 if suffix == "mpg" else 0.03  # sound in Matroska begins earlier by what warms it up
        yield case(
            f"sound-first.{suffix}",
            partial(_write, after, video, sound=Sound(0, after.end)),
            after,
            within=within,
            end=(after.end - 0.1, after.end + 0.1),
        )
        yield case(
            f"pictures-first.{suffix}",
            partial(_write, before, video, sound=Sound(1.5, 5)),
            before,
            within=within,
            end=(4.9, 5.1),
        )


def tracks() -> Iterator[Case]:
    """Other tracks beside the pictures."""
    for suffix, codec in (("mp4", "mov_text"), ("mov", "mov_text"), ("mkv", "srt"), ("mkv", "ass")):
        yield case(f"subtitles-{codec}.{suffix}", partial(_with_subtitles, codec), FIVE)
    yield case("subtitles-only-late.mkv", partial(_with_subtitles, "srt", begin=4.5), FIVE)
    yield case("timecode.mov", partial(_copied, ("-timecode", "01:00:00:00")), FIVE)
    yield case("timecode.mp4", partial(_copied, ("-timecode", "10:00:00:00")), FIVE)
    yield case("chapters.mp4", _with_chapters, FIVE)
    yield case("chapters.mkv", _with_chapters, FIVE)
    for suffix in ("mp4", "mkv", "mov"):
        yield case(f"cover.{suffix}", _with_cover, FIVE)
        yield case(f"second-video.{suffix}", _with_second_video, FIVE)
        yield case(f"sound-track-first.{suffix}", _sound_track_first, FIVE)
    yield case("second-video.ts", _with_second_video, FIVE)
    yield case("two-sounds.mkv", partial(_copied, ("-map", "0:v", "-map", "0:a", "-map", "0:a")), FIVE)
    yield case("two-sounds.ts", partial(_copied, ("-map", "0:v", "-map", "0:a", "-map", "0:a")), FIVE)


def _source(path: Path, shape: Shape = FIVE, video: Video = WITH_B_FRAMES) -> Path:
    """A recording beside `path`, to be copied from."""
    return write(path.with_name(f"{path.name}.source.mkv"), shape, video, sound=Sound(0, shape.end))


def _copied(options: tuple[str, ...], path: Path) -> None:
    ffmpeg("-i", str(_source(path)), "-c", "copy", *options, str(path))


def _with_subtitles(codec: str, path: Path, *, begin: float = 0.5) -> None:
    lines = path.with_name(f"{path.name}.srt")
    lines.write_text(f"1\n00:00:0{begin:.3f} --> 00:00:04.900\nsomething said\n".replace(".", ","))
    ffmpeg("-i", str(_source(path)), "-i", str(lines), "-c", "copy", "-c:s", codec, str(path))


def _with_chapters(path: Path) -> None:
    told = path.with_name(f"{path.name}.txt")
    chapters = "".join(
        f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={start + 2500}\ntitle={start}\n"
        for start in (0, 2500)
    )
    told.write_text(f";FFMETADATA1\n{chapters}")
    ffmpeg("-i", str(_source(path)), "-i", str(told), "-map_chapters", "1", "-c", "copy", str(path))


def _with_cover(path: Path) -> None:
    cover = write(path.with_name(f"{path.name}.jpg"), steady(1, 1), Video("mjpeg", size=(640, 480)))
    inputs = ("-i", str(_source(path)), "-i", str(cover))
    if path.suffix == ".mkv":
        attach = ("-attach", str(cover), "-metadata:s:t", "mimetype=image/jpeg")
        ffmpeg(*inputs[:2], "-c", "copy", *attach, str(path))
    else:
        marks = ("-map", "1", "-map", "0", "-disposition:v:0", "attached_pic")
        ffmpeg(*inputs, *marks, "-c", "copy", str(path))


FIRST_IS_NOT_IT = (
    *("-map", "1", "-map", "0"),
    *("-disposition:v:0", "0", "-disposition:v:1", "default"),
)


def _with_second_video(path: Path) -> None:
    other = write(
        path.with_name(f"{path.name}.small.mkv"), steady(5).moved(0, first=500), Video(size=(80, 48))
    )
    ffmpeg("-i", str(_source(path)), "-i", str(other), *FIRST_IS_NOT_IT, "-c", "copy", str(path))


def _sound_track_first(path: Path) -> None:
    ffmpeg("-i", str(_source(path)), "-map", "0:a", "-map", "0:v", "-c", "copy", str(path))


def layouts() -> Iterator[Case]:
    """Where in the file things are."""
    b, wmv = WITH_B_FRAMES, Video("wmv2")
    for name, video, suffix, muxing in (
        ("index-first", b, "mp4", {"movflags": "faststart"}),
        ("fragment-a-group", b, "mp4", {"movflags": "frag_keyframe+delay_moov"}),
        ("fragment-a-picture", b, "mp4", {"movflags": "frag_every_frame+delay_moov"}),
        ("fragments-separate", b, "mp4", {"movflags": "frag_keyframe+delay_moov+separate_moof"}),
        ("fragments-indexed", b, "mp4", {"movflags": "dash+global_sidx+delay_moov+frag_keyframe"}),
        ("fragments-cmaf", b, "mp4", {"movflags": "cmaf+delay_moov+frag_keyframe"}),
        ("fragments-hybrid", H264, "mp4", {"movflags": "hybrid_fragmented+frag_keyframe"}),
        ("no-negative-offsets", b, "mp4", {"movflags": "negative_cts_offsets"}),
        ("clock-written", b, "mp4", {"video_track_timescale": "90000"}),
        ("live", H264, "mkv", {"live": "1"}),
        ("index-first", H264, "mkv", {"reserve_index_space": "20000"}),
        ("small-clusters", H264, "mkv", {"cluster_time_limit": "100"}),
        ("large-clusters", H264, "mkv", {"cluster_time_limit": "30000", "cluster_size_limit": "50000000"}),
        ("headers-resent", b, "ts", {"mpegts_flags": "resend_headers"}),
        ("constant-bit-rate", b, "ts", {"muxrate": "1000000"}),
        ("small-packets", wmv, "asf", {"packet_size": "1000"}),
        ("no-index", H264, "flv", {"flvflags": "no_duration_filesize"}),
        ("index-first", H264, "flv", {"flvflags": "add_keyframe_index"}),
    ):
        # This muxer knows no edits, and the pictures wait for their B-frames while the sound begins.
        shape = FIVE.moved(Fraction(2, 12)) if name == "fragments-cmaf" else FIVE
        build = partial(_write, FIVE, video, sound=Sound(0, 5), muxing=muxing)
        yield case(f"layout-{name}.{suffix}", build, shape)
    yield case(
        "layout-no-index.avi", partial(written_then, FIVE, Video("mpeg4"), headers.hide_avi_index), FIVE
    )
    yield case(
        "edit-end-hidden.mp4",
        partial(written_then, FIVE, H264, partial(mp4.set_edits, edits=[(3, 0)])),
        shown=FIVE.shown[:36],
        end=3.0,
        interval=1 / 12,
    )
    begin = 30.6 / 12
    between = ((0.0, 30), *((index / 12 - begin, index) for index in range(31, 60)))
    yield case(
        # Cut while a picture is on screen. FFmpeg leaves out what is left of it and shows the next instead.
        "edit-between-pictures.mp4",
        partial(written_then, FIVE, H264, partial(mp4.set_edits, edits=[(5 - begin, begin)])),
        shown=between,
        end=5 - begin,
        interval=1 / 12,
        within=0.04,
    )
    hidden = Shape(tuple(range(-7, 53)), Fraction(1, 12))
    yield case(
        "negative-times.mp4",
        partial(_write, hidden, H264, muxing={"avoid_negative_ts": "disabled"}),
        shown=hidden.shown[7:],
        end=hidden.end,
        interval=1 / 12,
    )


def turned() -> Iterator[Case]:
    """Phones that were not held the usual way."""
    ways: dict[str, tuple[tuple[int, int, int, int], Callable[[np.ndarray], np.ndarray]]] = {
        "90": ((0, 1, -1, 0), lambda upright: np.rot90(upright, 1)),
        "180": ((-1, 0, 0, -1), lambda upright: np.rot90(upright, 2)),
        "270": ((0, -1, 1, 0), lambda upright: np.rot90(upright, -1)),
        "mirrored": ((-1, 0, 0, 1), lambda upright: upright[:, ::-1]),
    }
    for name, (matrix, store) in ways.items():
        height, width, _ = store(clips.picture(0)).shape
        video = Video(
            size=(width, height), draw=lambda i, store=store: np.ascontiguousarray(store(clips.picture(i)))
        )
        for suffix in ("mp4", "mov"):
            build = partial(written_then, FIVE, video, partial(_turn, matrix))
            yield case(f"turned-{name}.{suffix}", build, FIVE)


def _turn(matrix: tuple[int, int, int, int], path: Path) -> None:
    clips.set_display_matrix(path, *matrix)
