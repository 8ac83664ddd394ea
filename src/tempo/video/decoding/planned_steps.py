"""Reads a file's packets and plans what to decode, without a decoder."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterator

import av.container
import av.video.stream
import numpy as np
from av.packet import Packet

from tempo.video.frames import CUT_SHORT, UNREADABLE, Losses

from .container import VideoFile
from .demuxer import DamageError
from .packet_reader import PacketReader, Seeker
from .seek_planner import Planner, Step

GAP_FRAMES = 2  # frames' time without a packet after a resync that counts as missing


class PlannedSteps:
    """The steps that show the frame of every sample; see :class:`.seek_planner.Planner`.

    Attributes:
        gaps: from pts to pts, where packets are missing; only an error-tolerant reader goes on after one.
    """

    def __init__(
        self,
        file: VideoFile,
        times: np.ndarray,
        stop: threading.Event,
        losses: Losses,
        *,
        first: int,
        seeks: bool,
        error_tolerant: bool,
        group: int | None = None,
    ) -> None:
        self._file, self._times, self._stop, self._losses = file, times, stop, losses
        self._seeks, self._error_tolerant = seeks, error_tolerant
        self._limits = file.limits(times)
        self._planner: Planner[Packet] = Planner(self._limits, first=first, seeks=seeks, group=group)
        self.gaps: list[tuple[int, int]] = []

    def read(
        self, container: av.container.InputContainer, stream: av.video.stream.VideoStream
    ) -> Iterator[Step[Packet]]:
        """Yield the steps, read from a container of the file.

        Raises SeekError, UnplannableError, and unless it is error-tolerant, DamageError.
        """
        with PacketReader(self._file, container, stream, error_tolerant=self._error_tolerant) as reader:
            seeker = Seeker(self._file, reader, self._limits) if self._seeks else None
            last: int | None = None  # the greatest pts that was seen, of frames that are shown
            last_end = self._file.first_pts
            while self._planner.busy and not self._stop.is_set():
                packet = seeker.next(self._planner) if seeker else reader.read()
                if packet is None:
                    self._planner.end(keep=self._reached(last, last_end))
                    yield from self._planner.steps()
                    return
                if reader.resynced:
                    self._note_gap(last_end, packet.pts)
                shown = not packet.is_discard
                self._planner.add(
                    packet,
                    pts=packet.pts,
                    dts=packet.dts,
                    key=packet.is_keyframe,
                    shown=shown,
                    size=packet.size,
                )
                if shown and packet.pts is not None:
                    last = packet.pts if last is None else max(last, packet.pts)
                    last_end = max(last_end, packet.pts + (packet.duration or self._file.ticks_per_frame))
                yield from self._planner.steps()

    def is_in_a_gap(self, sample: int) -> bool:
        """Whether the frame of a sample is among those that are missing."""
        return any(end <= self._limits[sample] < resumed for end, resumed in self.gaps)

    def _reached(self, last: int | None, last_end: int) -> int:
        """How many samples have frames, at the end of the file; the rest count as lost."""
        end = self._file.seconds(last_end)
        appeared = None if last is None else self._file.seconds(last)
        if not self._file.is_cut_off(appeared, end):
            return len(self._times)
        self._losses.add(end, self._file.end, CUT_SHORT)
        return bisect_right(self._times, end)

    def _note_gap(self, end: int, resumed: int | None) -> None:
        """After a resync, note whether frames are missing between the pts `end` and `resumed`."""
        if resumed is not None and resumed - end > GAP_FRAMES * self._file.ticks_per_frame:
            if not self._error_tolerant:
                raise DamageError
            self.gaps.append((end, resumed))
            self._losses.add(self._file.seconds(end), self._file.seconds(resumed), UNREADABLE)
