"""How long a video is by its packets, which are more reliable than its header."""

from __future__ import annotations

from dataclasses import dataclass

import av.container
import av.error
import av.video.stream
import numpy as np

from .continuous_clock import ClockJump
from .demuxer import DamageError, Demuxer

AT_THE_END = 1 << 40  # ticks; a time beyond the end of every file


@dataclass(frozen=True)
class Extent:
    """When the pictures of a file are shown, read from its packets: all of them, or those at its end.

    Times are in ticks of the video stream's clock.

    Attributes:
        pictures: how many were read.
        first, last: when the first and the last of them appear.
        end: when the last one ends, by its packet's duration.
        longest: the longest time between two pictures.
        end_of_all: when everything ends, sound included, in seconds of the file's clock.
        through: the position in the file at which the last packet ends; None where that is not known.
        failed: whether the container reported an error while it was read.
        display_times: int64 [pictures], ascending: when pictures are shown whose packets carry decoding times
            alone; else None.
        clock_jumps: those that were removed from the clock.
    """

    pictures: int
    first: int
    last: int
    end: int
    longest: int
    end_of_all: float
    through: int | None
    failed: bool
    display_times: np.ndarray | None
    clock_jumps: tuple[ClockJump, ...]


def measure_tail(
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    *,
    ticks_per_frame: int,
) -> Extent | None:
    """Read from the last keyframe to the end; None where no picture is shown there.

    Raises DamageError where the container cannot be read there.
    """
    demuxer = Demuxer(
        container,
        stream,
        timing="presentation",
        counts_bytes=False,
        error_tolerant=False,
        to_the_end_of_all=True,
    )
    try:
        container.seek(AT_THE_END, stream=stream, backward=True)
    except (av.error.FFmpegError, OverflowError) as error:
        raise DamageError from error
    demuxer.restart()
    return measure(demuxer, ticks_per_frame=ticks_per_frame)


def measure(demuxer: Demuxer, *, ticks_per_frame: int) -> Extent | None:
    """Read all packets from here to the end without decoding; None where there is not one picture."""
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
        times_shown = np.arange(pictures, dtype=np.int64) * ticks_per_frame
    elif not times:
        return None
    else:
        times_shown = np.sort(np.asarray(times, dtype=np.int64))
    return Extent(
        pictures=pictures,
        first=int(times_shown[0]),
        last=int(times_shown[-1]),
        end=int(times_shown[-1]) + ticks_per_frame if end is None else end,
        longest=int(np.diff(times_shown).max(initial=0)),
        end_of_all=demuxer.end,
        through=demuxer.through,
        failed=demuxer.failed,
        display_times=times_shown if order else None,
        clock_jumps=tuple(demuxer.clock.jumps),
    )
