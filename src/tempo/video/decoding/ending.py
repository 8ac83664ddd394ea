"""Decides when a video ends, from what its headers, its packets and its bytes say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

import av
import av.container
import av.video.stream

from .completeness import Completeness
from .extent import Extent

CONTAINER_TICK = Fraction(1, av.time_base)  # seconds, of a container's own times
CUT_OFF = 1.0  # seconds without frames at the end, at least, that can be missing
STAYING = 2.0  # seconds that the last picture may stay on screen if only the header says so
UNREAD_BYTES = 64  # after the last packet of a Flash file; with more, something could not be read


@dataclass(frozen=True)
class Ending:
    """When the pictures of a video end, and whether all of them are there.

    Attributes:
        end: when the last picture ends, or would end if nothing were missing, in seconds.
        last: when the last readable picture appears, in seconds; None where that is not known.
        incomplete: whether pictures that the headers promise may be missing.
    """

    end: float
    last: float | None
    incomplete: bool

    def is_cut_off(self, last: float | None, end: float, *, interval: float) -> bool:
        """Whether pictures are missing after the last one that was decoded.

        Args:
            last: when it appeared, seconds; None where there was none.
            end: when it ends, as far as is known, seconds.
            interval: seconds between frames on average. Up to a second or three frames, the last frame may
                just stay on screen for longer.
        """
        if self.end - end <= max(CUT_OFF, 3 * interval):
            return False
        return self.incomplete or last is None or self.last is None or last < self.last - 0.5 * interval


def of_packets(
    extent: Extent,
    *,
    tick: Fraction,
    origin: Fraction,
    start: float,
    own: Fraction | None,
    unread: float,
) -> Ending:
    """The end of a file whose packets could be read to the end: they are more reliable than its header.

    Args:
        extent: when pictures are shown, by the packets.
        tick, origin: seconds of a tick of the stream's clock, and the second of it that a player shows as 0.
        start: when the first picture appears, seconds.
        own: the end of the video stream by its header, in seconds of the file's clock.
        unread: the size of the file divided by the bytes that could be read.
    """

    def seconds(ticks: int) -> float:
        return float(ticks * tick - origin)

    end, last = seconds(extent.end), seconds(extent.last)
    end_of_all = extent.end_of_all - float(origin)
    if unread > 1:
        return Ending(end * unread, last, incomplete=True)
    if extent.pictures == 1 and last <= start:
        return Ending(max(end, end_of_all), last, incomplete=False)  # cover art of a piece of music
    if own is not None:
        # The last picture may stay for longer than its packet knows, but not for as long as a header can lie:
        # as long as there is sound, or as any other picture stayed.
        stays = max(end_of_all - end, extent.longest * float(tick), STAYING)
        by_header = float(own - origin)
        if end < by_header <= end + stays:
            end = by_header
    return Ending(end, last, incomplete=False)


def of_headers(
    extent: Extent | None,
    structure: Completeness,
    *,
    tick: Fraction,
    origin: Fraction,
    declared: Fraction | None,
    size: int,
) -> Ending:
    """The end of a damaged or truncated file, by its header: what that promises and is missing is lost.

    Args:
        declared: the end by the header, in seconds of the file's clock.
        size: bytes of the file.
    """
    ends = [0.0]
    if declared is not None:
        end = float(declared - origin)
        # Every fragment has a length of its own: for unreadable ones, estimate it from the bytes.
        if structure.cut_short and structure.readable:
            end *= size / structure.readable
        ends.append(end)
    if extent is not None:
        ends.append(float(extent.end * tick - origin))
    return Ending(max(ends), None, incomplete=True)


def unread_ratio(container: av.container.InputContainer, extent: Extent) -> float:
    """The size of a Flash file divided by what could be read of it; 1 where that is nearly all, or unknown.

    FFmpeg's demuxer ends without an error where a second file was appended.
    """
    if container.format.name != "flv" or not extent.through:
        return 1.0
    size = container.size
    return size / extent.through if size > extent.through + UNREAD_BYTES else 1.0


def own_end(stream: av.video.stream.VideoStream) -> Fraction | None:
    """When the video stream ends by its header, in seconds of the file's clock; None if it does not say."""
    if stream.duration and stream.time_base:
        # ASF gives the length of the file for every stream, wherever that begins.
        begin = 0 if stream.container.format.name == "asf" else stream.start_time or 0
        return (begin + stream.duration) * stream.time_base
    # Matroska has the length of a track as text: 00:01:02.345000000.
    words = next((text for key, text in stream.metadata.items() if key.startswith("DURATION")), "")
    if match := re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", words):
        length = int(match[1]) * 3600 + int(match[2]) * 60 + Fraction(match[3])
        if length > 0:
            return length
    return None


def end_of_all(container: av.container.InputContainer) -> Fraction | None:
    """When the file ends by its header, in seconds of the file's clock; None if it does not say."""
    if container.duration:
        return (container.duration + (container.start_time or 0)) * CONTAINER_TICK
    return None
