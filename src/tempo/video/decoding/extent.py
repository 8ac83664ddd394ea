"""How long a video really is: what its packets say, which counts for more than its header."""

from __future__ import annotations

from dataclasses import dataclass

import av.container
import av.error
import av.video.stream
import numpy as np

from .continuous_clock import ClockJump
from .demuxer import DamageError, Demuxer

AT_THE_END = 1 << 40  # ticks; a time that is behind the end of every file


@dataclass(frozen=True)
class Extent:
    """What the packets at the end of a file, or all of them, say.

    Times are ticks of the video stream's clock.

    Attributes:
        pictures: how many were seen.
        first, last: when the first and the last of them appear.
        end: when the last one goes, as far as its packet knows.
        longest: the longest time between two pictures.
        end_of_all: when everything ends, sound included, in seconds of the file's clock.
        through: the position in the file at which the last packet ends; None where that is not known.
        failed: whether the container reported an error while it was read.
        slots: int64 [pictures], when pictures are shown that come in the order of decoding, ascending.
        jumps: of the clock, taken out.
    """

    pictures: int
    first: int
    last: int
    end: int
    longest: int
    end_of_all: float
    through: int | None
    failed: bool
    slots: np.ndarray | None
    jumps: tuple[ClockJump, ...]


def of_tail(
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    *,
    ticks_per_frame: int,
) -> Extent | None:
    """Read from the last keyframe on, which a seek finds; None where no picture is shown after it.

    Raises DamageError where the container cannot be read there.
    """
    demuxer = Demuxer(
        container,
        stream,
        timing="presentation",
        counts_bytes=False,
        forgiving=False,
        to_the_end_of_all=True,
    )
    try:
        container.seek(AT_THE_END, stream=stream, backward=True)
    except (av.error.FFmpegError, OverflowError) as error:
        raise DamageError from error
    demuxer.restart()
    return _measure(demuxer, ticks_per_frame)


def of_all(demuxer: Demuxer, *, ticks_per_frame: int) -> Extent | None:
    """Read the whole file without decoding it; None where there is not one picture in it."""
    return _measure(demuxer, ticks_per_frame)


def _measure(demuxer: Demuxer, ticks_per_frame: int) -> Extent | None:
    order = demuxer.timing == "order"
    times: list[int] = []
    end: int | None = None
    pictures = 0
    while (packet := demuxer.read()) is not None:
        pictures += 1
        ticks = packet.dts if order or packet.pts is None else packet.pts
        if ticks is None and not order and end is not None:
            # Of several pictures in one packet of a program stream the first alone has a time.
            ticks = end
        if packet.is_discard or ticks is None:
            continue
        times.append(ticks)
        ends = ticks + (packet.duration or ticks_per_frame)
        end = ends if end is None else max(end, ends)
    if not pictures:
        return None
    if order and len(times) < pictures:
        # A stream without a container has no times at all.
        slots = np.arange(pictures, dtype=np.int64) * ticks_per_frame
    elif not times:
        return None
    else:
        slots = np.sort(np.asarray(times, dtype=np.int64))
    return Extent(
        pictures=pictures,
        first=int(slots[0]),
        last=int(slots[-1]),
        end=int(slots[-1]) + ticks_per_frame if end is None else end,
        longest=int(np.diff(slots).max(initial=0)),
        end_of_all=demuxer.end,
        through=demuxer.through,
        failed=demuxer.failed,
        slots=slots if order else None,
        jumps=tuple(demuxer.clock.jumps),
    )
