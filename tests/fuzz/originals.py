"""Small sound files of many formats, to be damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PIL import Image

import clips
from media import mp4
from media.recording import H264, WITH_B_FRAMES, Sound, Video, write
from media.shapes import steady

TWO = steady(2)
SOUND = Sound(0, 2)


def _video(video: Video, muxing: dict[str, str] | None = None, rate: int = 12) -> Callable[[Path], object]:
    return lambda path: write(path, steady(2, rate), video, sound=SOUND, muxing=muxing)


def _chunked(path: Path) -> None:
    mp4.rechunk(write(path, TWO, WITH_B_FRAMES, sound=SOUND), 0.5)


def _pictures(path: Path) -> None:
    pictures = [Image.fromarray(clips.picture(index)) for index in range(12)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100)


def _picture(path: Path) -> None:
    Image.fromarray(clips.picture(1)).save(path)


def _heic(path: Path) -> None:
    import pillow_heif

    pillow_heif.from_pillow(Image.fromarray(clips.picture(1))).save(path)


FRAGMENTS = {"movflags": "empty_moov+default_base_moof", "frag_duration": "500000"}
ORIGINALS: dict[str, Callable[[Path], object]] = {
    "h264.mp4": _chunked,
    "fragments.mp4": _video(WITH_B_FRAMES, FRAGMENTS),
    "hevc.mkv": _video(Video("libx265")),
    "vp9.webm": _video(Video("libvpx-vp9")),
    "mpeg4.avi": _video(Video("mpeg4")),
    "h264.ts": _video(WITH_B_FRAMES),
    "h264.flv": _video(H264),
    "wmv2.wmv": _video(Video("wmv2")),
    "mpeg2.vob": _video(Video("mpeg2video"), rate=25),
    "vp8.ogv": _video(Video("libvpx")),
    "mjpeg.mov": _video(Video("mjpeg")),
    "av1.mp4": _video(Video("libsvtav1")),
    "raw.h264": lambda path: write(path, TWO, H264),
    "animated.gif": _pictures,
    "animated.webp": _pictures,
    "animated.png": _pictures,
    "animated.avif": _pictures,
    "still.jpg": _picture,
    "still.png": _picture,
    "still.heic": _heic,
}
"""How to write a file of each format, by its name."""


def build(folder: Path) -> None:
    """Write a file of every format into `folder`. Older Pillows know no AVIF."""
    avif = ".avif" in Image.registered_extensions()
    for name, write_it in ORIGINALS.items():
        if avif or not name.endswith("avif"):
            write_it(folder / name)
