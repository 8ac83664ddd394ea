"""Films to measure on: drawn ones, and any film made as long as is asked for by repeating it."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import av.error

from tempo.errors import TempoError
from tempo.storage import hashing
from tempo.synthetic.video_files import FileSpec, make_file
from tempo.video.video import Video

FRAME_RATE = 24
DRAWN_MINUTES = 2.0  # at most; drawing takes longer than everything that is measured


def drawn(
    folder: Path, minutes: float, height: int, *, progress: Callable[[int, int], None] | None = None
) -> Path:
    """A film of the drawn world in `folder`, made where it is not there yet.

    What is longer than DRAWN_MINUTES repeats a film that is shorter: decoding and watching cost the same.

    Raises:
        TempoError: it cannot be written.
    """
    times = math.ceil(minutes / DRAWN_MINUTES)
    own = minutes / times
    path = folder / f"{own:g}min-{height}p.mp4"
    if not path.is_file():
        spec = FileSpec(seconds=own * 60, height=height, fps=FRAME_RATE)
        make_file(path, spec, seed=f"bench/{own:g}", questions=8, progress=progress)
    return repeated(path, folder, times)


def as_long_as(path: str, folder: Path, minutes: float) -> Path:
    """A film repeated as often as comes nearest to `minutes`, in `folder`; itself where that is once.

    Raises:
        TempoError: it cannot be read or written.
    """
    return repeated(Path(path), folder, max(1, round(minutes * 60 / Video.open(path).duration)))


def repeated(path: Path, folder: Path, times: int) -> Path:
    """The pictures of a film `times` in a row, copied packet by packet: nothing is decoded or encoded.

    Its name says of what content it is, so that another film of the same name gets one of its own.

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
    part = target.with_name(f".{target.name}.part")
    try:
        with av.open(str(part), "w", format="mp4") as written:
            copy: Any = None
            offset = 0
            for _ in range(times):
                with av.open(str(path)) as source:
                    stream = source.streams.video[0]
                    copy = written.add_stream_from_template(stream) if copy is None else copy
                    offset = _append(source, stream, written, copy, offset)
        os.replace(part, target)
    except (OSError, av.error.FFmpegError) as error:
        raise TempoError(f"{path}: cannot be repeated into {folder} ({error})") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
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
