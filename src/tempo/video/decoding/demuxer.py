"""Reads the packets of one video stream in decoding order and repairs their times."""

from __future__ import annotations

from typing import Literal

import av.container
import av.error
import av.packet
import av.video.stream

from .continuous_clock import ContinuousClock

FRAMING = 4096  # bytes between packets that may be the container's own
LONGEST_PACKET = 60.0  # seconds; what lasts longer is subtitles, or an overflow of the container's arithmetic
LONGEST_DELAY = 120.0  # seconds that a picture can wait in a decoder, or
MOST_DELAYED = 32  # pictures' time, where each is shown for long; beyond both its time is damaged
FAILED_READS = 100  # in a row, after which the rest of a damaged file is given up

Timing = Literal["presentation", "continuous", "edited", "order"]
"""How reliable the times of a container are, and what is done about them.

presentation: every packet carries its presentation time.
continuous: it does, on a clock that may restart; the jumps are removed.
edited: it does, but times step back where another part of the media begins; the steps are removed.
order: there are decoding times alone. Pictures are shown in the order in which the decoder outputs them, one
at each of these times; packets get their own number in place of the presentation time.
"""


class DamageError(Exception):
    """Something could not be read or decoded, and the caller is not error-tolerant."""


def is_last(packet: av.packet.Packet) -> bool:
    """Whether this is one of the empty packets with which PyAV ends, one for each stream.

    Do not read beyond the first: PyAV fails on streams that appeared in mid-file.
    """
    return not packet.size and packet.pts is None and packet.dts is None


class Demuxer:
    """Reads the packets of one stream.

    Attributes:
        resynced: whether something in front of the latest packet could not be read: the container reported an
            error, marked the packet as damaged, or skipped bytes that belong to no packet.
        failed: whether the container has reported an error so far.
        clock: what removes jumps from the times.
        end: when everything that was read ends, seconds on the file's clock.
        through: position in the file up to which packets have been read since the last seek, None if unknown.
    """

    def __init__(
        self,
        container: av.container.InputContainer,
        stream: av.video.stream.VideoStream,
        *,
        timing: Timing,
        counts_bytes: bool,
        error_tolerant: bool,
        to_the_end_of_all: bool = False,
    ) -> None:
        """
        Args:
            counts_bytes: bytes that belong to no packet count as damage.
            error_tolerant: read on after errors.
            to_the_end_of_all: read every stream, to know when all of them end.
        """
        self._container, self._stream = container, stream
        self.timing, self._counts_bytes, self._error_tolerant = timing, counts_bytes, error_tolerant
        # Every byte has to be accounted for, and all streams share one clock that may jump.
        self._reads_all_streams = counts_bytes or timing != "presentation" or to_the_end_of_all
        self.clock = ContinuousClock()
        self.failed = self.resynced = False
        self.end = 0.0
        self._number = 0
        self._newest: int | None = None  # decoding time in the file of the latest packet
        self._steps: dict[int, tuple[int, int]] = {}  # by stream: its latest decoding time, the longest step
        self._shown_until = self._moved = 0  # ticks
        self.restart()

    def restart(self) -> None:
        """Go on after a seek or an error."""
        self._packets = self._container.demux(*(() if self._reads_all_streams else (self._stream,)))
        self.through: int | None = None  # position in the file up to which packets have been read
        self.resynced = False

    def read(self) -> av.packet.Packet | None:
        """The next packet, None at the end. Raises DamageError unless it is error-tolerant."""
        self.resynced = False
        failures = 0
        while failures < FAILED_READS:
            try:
                packet = next(self._packets)
            except StopIteration:
                return None
            except av.error.FFmpegError as error:
                self.failed = True
                if not self._error_tolerant:
                    raise DamageError from error
                failures += 1
                self.restart()
                self.resynced = True
                continue
            if packet.size:
                self._account_for(packet)
                if self._reads_all_streams:
                    self._place(packet)
                if packet.stream_index == self._stream.index:
                    return packet
            elif is_last(packet):
                return None  # other empty packets stand for a frame that stays
        return None

    def _account_for(self, packet: av.packet.Packet) -> None:
        if packet.is_corrupt and packet.stream_index == self._stream.index:
            self.resynced = True
        if packet.pos is not None and packet.pos >= 0:
            passed_over = self.through is not None and packet.pos > self.through + FRAMING
            self.resynced = self.resynced or (self._counts_bytes and passed_over)
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
