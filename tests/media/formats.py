"""Codecs in the containers that people find them in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path

from .cases import Case, case
from .recording import SIZE, Sound, Video, through_ffmpeg, write
from .shapes import Shape, steady

AUDIBLE = {"mp4", "mov", "mkv", "avi", "flv", "ts", "3gp", "asf", "wmv", "webm", "mpg", "vob", "f4v", "m4v"}
"""Suffixes of containers that get a sound track here."""

NTSC = Fraction(30_000, 1001)
RAW = {"h264", "hevc", "266", "m1v", "m2v", "obu"}
"""Suffixes of bare streams. They tell no times, and FFmpeg plays them at 25 pictures a second."""

BROADCAST = {"mxf", "wtv", "dv"}
"""Suffixes of containers that know a few rates only."""


WIDER = {"dvvideo": (768, 576), "h263": (192, 144)}
"""(width, height) at which pictures are shown that a standard stores narrower."""

UNSURE = {"x264.asf": (0.09, 0.09), "h263.h263": (0.06, 0.05)}
"""Seconds by which FFmpeg is off, and by which the end is. ASF keeps decoding times, and FFmpeg expects a
picture of delay where none is. It takes some pictures of bare H.263 for 1/25 s, others for 1/29.97 s."""


@dataclass(frozen=True)
class Format:
    """A codec, and the suffixes of the containers it is tried in. `binary`: PyAV cannot write it."""

    codec: str
    suffixes: str
    pixels: str | None = None
    size: tuple[int, int] = SIZE
    rate: int | Fraction = 12
    seconds: int = 4
    options: dict[str, str] = field(default_factory=dict)
    binary: bool = False


FORMATS = (
    Format("libx264", "mp4 mov mkv avi flv ts m2ts 3gp asf nut h264 f4v ismv wtv m4v mpg"),
    Format("libx265", "mp4 mov mkv ts flv hevc nut"),
    Format("libvpx", "webm mkv ivf avi ogv nut"),
    Format("libvpx-vp9", "webm mkv mp4 ivf nut"),
    Format("libsvtav1", "webm mkv mp4 ivf obu flv"),
    Format("libvvenc", "mp4 ts 266", seconds=2, options={"preset": "faster"}, binary=True),
    Format("mpeg1video", "mpg ts mkv avi m1v", rate=25),
    Format("mpeg2video", "mpg vob ts mkv avi mov mp4 mxf m2v nut wtv", rate=25),
    Format("mpeg4", "mp4 mov mkv avi 3gp asf ts nut m4v"),
    Format("mjpeg", "avi mov mkv mp4 asf nut"),
    Format("prores_ks", "mov mkv", "yuv422p10le"),
    Format("prores_ks", "mxf", "yuv422p10le", binary=True),
    Format("dnxhd", "mov", "yuv422p", size=(256, 128), options={"profile": "dnxhr_lb"}),
    Format("dnxhd", "mkv mxf", "yuv422p", size=(256, 128), options={"profile": "dnxhr_lb"}, binary=True),
    Format("cfhd", "mov avi", "yuv422p10le"),
    Format("ffv1", "mkv avi nut"),
    Format("ffv1", "mov", binary=True),
    Format("huffyuv", "avi", "yuv422p"),
    Format("ffvhuff", "avi"),
    Format("utvideo", "avi"),
    Format("magicyuv", "avi"),
    Format("rawvideo", "avi mkv nut y4m"),
    Format("rawvideo", "mov", "yuyv422"),
    Format("v210", "mov", "yuv422p10le"),
    Format("libtheora", "ogv mkv", binary=True),
    Format("wmv1", "wmv avi"),
    Format("wmv2", "wmv asf avi"),
    Format("wmv2", "mkv", binary=True),
    Format("msmpeg4v2", "avi asf"),
    Format("msmpeg4", "avi asf mkv"),
    Format("h261", "h261", size=(176, 144), rate=NTSC),
    Format("h263", "h263", size=(176, 144), rate=NTSC),
    Format("h263", "3gp mov avi", size=(176, 144)),
    Format("h263p", "avi"),
    Format("flv", "flv avi swf"),
    Format("flashsv", "flv", "bgr24"),
    Format("rv10", "rm"),
    Format("rv20", "rm"),
    Format("cinepak", "avi mov cpk", "rgb24", seconds=2),
    Format("svq1", "mov", "yuv410p"),
    Format("msvideo1", "avi", "rgb555le"),
    Format("qtrle", "mov", "rgb24"),
    Format("png", "mov avi", "rgb24"),
    Format("jpeg2000", "mov avi"),
    Format("snow", "avi mkv"),
    Format("asv2", "avi"),
    Format("zmbv", "avi", "bgr0"),
    Format("vc2", "mov mkv", binary=True),
    Format("roqvideo", "roq", "yuvj444p", rate=30, seconds=1),
    Format("hap", "mov", "rgba", binary=True),
    Format("dvvideo", "dv avi mov", size=(720, 576), rate=25, seconds=2),
    Format("gif", "gif", "rgb8", rate=10),
)


def formats() -> list[Case]:
    return [*_all()]


def _all() -> Iterator[Case]:
    for entry in FORMATS:
        video = Video(entry.codec, entry.options, entry.pixels, entry.size)
        for suffix in entry.suffixes.split():
            shape = steady(entry.seconds, 25 if suffix in RAW | BROADCAST else entry.rate)
            audible = suffix in AUDIBLE and entry.codec not in ("dvvideo", "libvvenc")
            sound = Sound(0, entry.seconds) if audible else None
            build = partial(_through_ffmpeg if entry.binary else _through_pyav, shape, video, sound)
            name = f"{entry.codec.removeprefix('lib')}.{suffix}"
            size = WIDER.get(entry.codec, entry.size)
            within, overhang = UNSURE.get(name, (1.5e-3, 0.0))
            end = (shape.end - 0.05, shape.end + 0.05 + overhang)
            yield case(name, build, shape, size=size, within=within, end=end)


def _through_pyav(shape: Shape, video: Video, sound: Sound | None, path: Path) -> None:
    write(path, shape, video, sound=sound)


def _through_ffmpeg(shape: Shape, video: Video, sound: Sound | None, path: Path) -> None:
    options = [word for key, value in video.options.items() for word in (f"-{key}", value)]
    if video.pixels:
        options += ["-pix_fmt", video.pixels]
    through_ffmpeg(path, shape, "-c:v", video.codec, *options, sound=sound, video=video)
