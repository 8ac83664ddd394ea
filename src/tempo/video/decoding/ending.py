"""When the last picture of a file goes, decided between what its headers, its packets and its bytes say."""

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
STAYING = 2.0  # seconds that the last picture stays on screen without anything but the header saying so
UNREAD_BYTES = 64  # behind the last packet of a Flash file, above which something could not be read


@dataclass(frozen=True)
class Ending:
    """When the pictures end, and whether all of them are there.

    Attributes:
        end: when the last picture goes, or would go if nothing were missing, in seconds.
        last: when the last picture that can be read appears, in seconds; None where that is not known.
        incomplete: whether what is promised may be missing.
    """

    end: float
    last: float | None
    incomplete: bool

    def is_cut_off(self, last: float | None, end: float, *, interval: float) -> bool:
        """Whether pictures are missing behind the last one that was seen.

        Args:
            last: when it appeared, seconds; None where there was none.
            end: when it goes, as far as is known, seconds.
            interval: seconds between frames on average. Up to a second or three frames, the last frame may
                just stay on screen for longer.
        """
        if self.end - end <= max(CUT_OFF, 3 * interval):
            return False
        return self.incomplete or last is None or self.last is None or last < self.last - 0.5 * interval


def of_packets(
    seen: Extent,
    *,
    tick: Fraction,
    origin: Fraction,
    start: float,
    own: Fraction | None,
    unread: float,
) -> Ending:
    """The ending where packets could be read to the end: they count for more than what the header says.

    Args:
        seen: what they say.
        tick, origin: seconds of a tick of the stream's clock, and what is shown as 0 on it.
        start: when the first picture appears, seconds.
        own: the end of the video stream by its header, in seconds of the file's clock.
        unread: the size of the file divided by the bytes that could be read.
    """

    def seconds(ticks: int) -> float:
        return float(ticks * tick - origin)

    end, last = seconds(seen.end), seconds(seen.last)
    of_all = seen.end_of_all - float(origin)
    if unread > 1:
        return Ending(end * unread, last, incomplete=True)
    if seen.pictures == 1 and last <= start:
        return Ending(max(end, of_all), last, incomplete=False)  # a picture to a piece of music
    if own is not None:
        # The last picture may stay for longer than its packet knows, but not for as long as a header can lie:
        # as long as there is sound, or as any other picture stayed.
        stays = max(of_all - end, seen.longest * float(tick), STAYING)
        declared = float(own - origin)
        if end < declared <= end + stays:
            end = declared
    return Ending(end, last, incomplete=False)


def of_headers(
    seen: Extent | None,
    structure: Completeness,
    *,
    tick: Fraction,
    origin: Fraction,
    told: Fraction | None,
    size: int,
) -> Ending:
    """The ending where the file is damaged or cut short: what its header promises and is not there is lost.

    Args:
        told: the end by the header, in seconds of the file's clock.
        size: bytes of the file.
    """
    ends = [0.0]
    if told is not None:
        end = float(told - origin)
        # Fragments each tell their own length: from where they cannot be read, the bytes have to do.
        if structure.cut_short and structure.readable:
            end *= size / structure.readable
        ends.append(end)
    if seen is not None:
        ends.append(float(seen.end * tick - origin))
    return Ending(max(ends), None, incomplete=True)


def unread_ratio(container: av.container.InputContainer, seen: Extent) -> float:
    """The size of a Flash file divided by what could be read of it; 1 where that is about all, or unknown.

    Its demuxer ends in silence where a second file was appended.
    """
    if container.format.name != "flv" or not seen.through:
        return 1.0
    size = container.size
    return size / seen.through if size > seen.through + UNREAD_BYTES else 1.0


def own_end(stream: av.video.stream.VideoStream) -> Fraction | None:
    """When the video stream ends by its header, in seconds of the file's clock; None if it does not say."""
    if stream.duration and stream.time_base:
        # In ASF the length of the file stands for that of every stream in it, wherever it begins.
        begin = 0 if stream.container.format.name == "asf" else stream.start_time or 0
        return (begin + stream.duration) * stream.time_base
    # Matroska tells how long each track is in words: 00:01:02.345000000.
    words = next((text for key, text in stream.metadata.items() if key.startswith("DURATION")), "")
    if told := re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", words):
        length = int(told[1]) * 3600 + int(told[2]) * 60 + Fraction(told[3])
        if length > 0:
            return length
    return None


def end_of_all(container: av.container.InputContainer) -> Fraction | None:
    """When the file ends by its header, in seconds of the file's clock; None if it does not say."""
    if container.duration:
        return (container.duration + (container.start_time or 0)) * CONTAINER_TICK
    return None
