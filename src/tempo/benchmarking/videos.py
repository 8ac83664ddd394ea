"""Videos to measure on: synthetic ones, and any video repeated until it has a given length."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import av.error

from tempo.errors import TempoError
from tempo.storage import hashing
from tempo.storage.atomic_files import replacing
from tempo.synthetic.video_files import FileSpec, make_file
from tempo.video.video import Video

FRAME_RATE = 24
RENDERED_MINUTES = 2.0  # at most; rendering takes longer than everything that is measured


def rendered(
    folder: Path,
    minutes: float,
    height: int,
    *,
    keyframe_seconds: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """A synthetic video in `folder`, rendered unless it is there already.

    If it is longer than RENDERED_MINUTES, a shorter one is repeated: decoding and watching cost the same.

    Raises:
        TempoError: it cannot be written.
    """
    times = math.ceil(minutes / RENDERED_MINUTES)
    own = minutes / times
    keyed = f"-{keyframe_seconds:g}s" if keyframe_seconds else ""
    path = folder / f"{own:g}min-{height}p{keyed}.mp4"
    if not path.is_file():
        spec = FileSpec(seconds=own * 60, height=height, fps=FRAME_RATE, keyframe_seconds=keyframe_seconds)
        make_file(path, spec, seed=f"bench/{own:g}", questions=8, progress=progress)
    return repeated(path, folder, times)


def as_long_as(path: str, folder: Path, minutes: float) -> Path:
    """A video repeated as often as comes nearest to `minutes`, in `folder`; the video itself if that is once.

    Raises:
        TempoError: it cannot be read or written.
    """
    return repeated(Path(path), folder, max(1, round(minutes * 60 / Video.open(path).duration)))


def repeated(path: Path, folder: Path, times: int) -> Path:
    """A file with the pictures of a video `times` in a row, copied packet by packet without decoding.

    Its name contains a hash of the video, so that another video of the same name gets a file of its own.

    Raises:
        TempoError: it cannot be read or written.
    """
    if times == 1:
        return path
    try:
        content = hashing.of_file(str(path))[:8]
    except OSError as error:
        raise TempoError(f"{path}: cannot be read ({error.strerror})") from error
    target = folder / f"{path.stem}-{content}-x{times}.mp4"
    if target.is_file():
        return target
    try:
        with replacing(target) as part, av.open(str(part), "w", format="mp4") as written:
            copy: Any = None
            offset = 0
            for _ in range(times):
                with av.open(str(path)) as source:
                    stream = source.streams.video[0]
                    copy = written.add_stream_from_template(stream) if copy is None else copy
                    offset = _append(source, stream, written, copy, offset)
    except (OSError, av.error.FFmpegError) as error:
        raise TempoError(f"{path}: cannot be repeated into {folder} ({error})") from error
    return target


def _append(source: Any, stream: Any, written: Any, copy: Any, offset: int) -> int:
    """Copy every packet of `stream`, `offset` of its ticks later, and return where the next copy begins."""
    begun, end = None, offset
    for packet in source.demux(stream):
        if packet.pts is None or packet.dts is None:
            continue
        begun = packet.pts if begun is None else begun  # a keyframe: no picture is shown before it
        packet.pts, packet.dts = packet.pts - begun + offset, packet.dts - begun + offset
        end = max(end, packet.pts + packet.duration)
        packet.stream = copy
        written.mux(packet)
    return end
