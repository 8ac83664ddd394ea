"""The packets of one video stream in the order of decoding, on a time line that can be relied on."""

from __future__ import annotations

from typing import Literal

import av.container
import av.error
import av.packet
import av.video.stream

from .continuous_clock import ContinuousClock

FRAMING = 4096  # bytes between packets that are no more than the container's own
LONGEST_PACKET = 60.0  # seconds; what lasts longer is subtitles, or an overflow of the container's arithmetic
LONGEST_DELAY = 120.0  # seconds that a picture can wait in a decoder, or
MOST_DELAYED = 32  # pictures' time, where each is shown for long; beyond both its time is damaged
FAILED_READS = 100  # in a row, after which the rest of a damaged file is given up

Timing = Literal["presentation", "continuous", "edited", "order"]
"""What the times of a container are good for.

presentation: every packet carries the time at which its picture is shown.
continuous: it does, on a clock that may restart; packets come out with the jumps taken out.
edited: it does, but steps back where another part of the media begins; packets come out without the steps.
order: pictures are shown in the order in which the decoder puts them out, one at each of the packets'
decoding times; packets come out with their own number in place of the presentation time.
"""


class DamageError(Exception):
    """Something could not be decoded while it was taken for granted that everything can."""


def is_last(packet: av.packet.Packet) -> bool:
    """Whether this is one of the empty packets with which PyAV ends, one for each stream.

    Nothing may be read behind the first: PyAV fails on streams that have appeared in mid-file.
    """
    return not packet.size and packet.pts is None and packet.dts is None


class Demuxer:
    """Reads the packets of one stream.

    Attributes:
        leapt: whether something in front of the latest packet could not be read: the container reported an
            error or marks the packet as damaged, or passed over bytes that belong to no packet.
        failed: whether the container has reported an error so far.
        clock: what takes jumps out of the times.
        end: when everything that was looked at ends, seconds on the file's clock.
        through: position in the file up to which packets have been read since the last seek, None if unknown.
    """

    def __init__(
        self,
        container: av.container.InputContainer,
        stream: av.video.stream.VideoStream,
        *,
        timing: Timing,
        counts_bytes: bool,
        forgiving: bool,
        to_the_end_of_all: bool = False,
    ) -> None:
        """
        Args:
            counts_bytes: bytes that belong to no packet are damage.
            forgiving: read on after errors.
            to_the_end_of_all: say when all streams end. Else only those are looked at that are needed.
        """
        self._container, self._stream = container, stream
        self.timing, self._counts_bytes, self._forgiving = timing, counts_bytes, forgiving
        # Every byte has to be accounted for, and all streams share one clock that may jump.
        self._looks_at_all = counts_bytes or timing != "presentation" or to_the_end_of_all
        self.clock = ContinuousClock()
        self.failed = self.leapt = False
        self.end = 0.0
        self._number = 0
        self._newest: int | None = None  # decoding time in the file of the latest packet
        self._steps: dict[int, tuple[int, int]] = {}  # by stream: its latest decoding time, the longest step
        self._shown_until = self._moved = 0  # ticks
        self.restart()

    def restart(self) -> None:
        """Go on behind a seek or an error."""
        self._packets = self._container.demux(*(() if self._looks_at_all else (self._stream,)))
        self.through: int | None = None  # position in the file up to which packets have been read
        self.leapt = False

    def read(self) -> av.packet.Packet | None:
        """The next packet, None at the end. Raises DamageError unless forgiving."""
        self.leapt = False
        failures = 0
        while failures < FAILED_READS:
            try:
                packet = next(self._packets)
            except StopIteration:
                return None
            except av.error.FFmpegError as error:
                self.failed = True
                if not self._forgiving:
                    raise DamageError from error
                failures += 1
                self.restart()
                self.leapt = True
                continue
            if packet.size:
                self._account_for(packet)
                if self._looks_at_all:
                    self._place(packet)
                if packet.stream_index == self._stream.index:
                    return packet
            elif is_last(packet):
                return None  # other empty packets stand for a frame that stays
        return None

    def _account_for(self, packet: av.packet.Packet) -> None:
        if packet.is_corrupt and packet.stream_index == self._stream.index:
            self.leapt = True
        if packet.pos is not None and packet.pos >= 0:
            passed_over = self.through is not None and packet.pos > self.through + FRAMING
            self.leapt = self.leapt or (self._counts_bytes and passed_over)
            self.through = max(packet.pos + packet.size, self.through or 0)

    def _place(self, packet: av.packet.Packet) -> None:
        ticks = packet.dts if packet.dts is not None else packet.pts
        if ticks is not None and packet.time_base:
            tick = float(packet.time_base)
            if self.timing == "continuous" and self._is_time_damaged(packet, ticks, tick):
                packet.pts = packet.dts
            time, duration = ticks * tick, (packet.duration or 0) * tick
            if duration > LONGEST_PACKET:
                duration = 0.0
            shown = time if packet.pts is None or self.timing == "order" else packet.pts * tick
            if self.timing == "continuous":
                shift = self.clock.place(packet.stream_index, time, shown, duration)
                if shift:
                    shown += shift
                    moved = round(shift / tick)
                    packet.dts = None if packet.dts is None else packet.dts + moved
                    packet.pts = None if packet.pts is None else packet.pts + moved
            self.end = max(self.end, shown + duration)
        if packet.stream_index == self._stream.index:
            if self.timing == "order":
                packet.pts = self._number
                self._number += 1
            elif self.timing == "edited":
                self._join_edits(packet)

    def _is_time_damaged(self, packet: av.packet.Packet, ticks: int, tick: float) -> bool:
        """Whether the presentation time is too far from the decoding time `ticks` to be true."""
        latest, longest = self._steps.get(packet.stream_index, (ticks, 0))
        longest = max(longest, ticks - latest)
        self._steps[packet.stream_index] = ticks, longest
        if packet.pts is None or abs(packet.pts - ticks) * tick <= LONGEST_DELAY:
            return False
        return longest > 0 and abs(packet.pts - ticks) > MOST_DELAYED * longest

    def _join_edits(self, packet: av.packet.Packet) -> None:
        """Decoding times never fall within one part of the media: where they do, the next part begins."""
        if packet.dts is None or packet.pts is None:
            return
        if self._newest is not None and packet.dts < self._newest:
            self._moved = max(self._moved, self._shown_until - packet.pts)
        self._newest = packet.dts
        packet.dts += self._moved
        packet.pts += self._moved
        if not packet.is_discard:
            self._shown_until = max(self._shown_until, packet.pts + (packet.duration or 0))
