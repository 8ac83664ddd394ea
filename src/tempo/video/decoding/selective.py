"""Planned picking: only what the wanted frames need is decoded."""

from __future__ import annotations

import math
import threading
from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator

import av.error
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from tempo.video.frames import (
    CUT_SHORT,
    UNDECODABLE,
    UNREADABLE,
    Losses,
    Picked,
)

from .container import VideoFile
from .conversion import Converter
from .demuxer import DamageError
from .displayed_frame import Shown
from .packet_reader import JumpError, Reader, Seeker
from .seek_planner import Planner, UnplannableError

HOLE = 2  # frames' time without a packet that counts as missing where the container passed over something
MOST_DELAYED = 64  # frames that a decoder may hold back


class Planned:
    """Decode only what is needed.

    Not careful: any irregularity raises. Careful: one thread, so that an error belongs to the packet that
    caused it; everything between the first needed packet and the last is decoded; what is missing is made
    good with the last frame before it or given up.
    """

    def __init__(
        self,
        file: VideoFile,
        times: np.ndarray,
        convert: Converter,
        stop: threading.Event,
        losses: Losses,
        *,
        first: int,
        jumps: bool,
        careful: bool,
    ) -> None:
        self._file, self._times, self._stop, self._losses = file, times, stop, losses
        self._jumps, self._careful = jumps, careful
        limits = file.limits(times)
        self._planner: Planner[Packet] = Planner(limits, first=first, jumps=jumps)
        self._limits = limits
        self._due: dict[int, list[int]] = {}  # pts of frames on their way through the decoder → moments
        self._holes: list[tuple[int, int]] = []  # careful: from pts to pts, where packets are missing
        self._unseen: list[
            tuple[int, int]
        ] = []  # careful: (pts, duration) of packets sent, frame not seen yet
        self._begin = -math.inf  # pts of the keyframe that decoding began with
        self._spare: VideoFrame | None = None  # careful: last good frame that was not shown
        self._convert, self._shown = convert, Shown(convert)

    def __iter__(self) -> Iterator[Picked]:
        with self._file.open() as container:
            stream = self._file.stream_of(container)
            context = self._convert.decoder(stream)
            context.thread_type = "AUTO"
            if self._careful:
                context.thread_count = 1
            with Reader(self._file, container, stream, forgiving=self._careful) as reader:
                yield from self._run(reader, context)

    def _run(self, reader: Reader, context: VideoCodecContext) -> Iterator[Picked]:
        seeker = Seeker(self._file, reader, self._limits) if self._jumps else None
        last: int | None = None  # the greatest pts that was seen, of frames that are shown
        last_end = self._file.first_pts
        opened = False
        while self._planner.busy and not self._stop.is_set():
            packet = seeker.next(self._planner) if seeker else reader.read()
            if packet is None:
                self._planner.end(keep=self._reached(last, last_end))
            else:
                shown = not packet.is_discard
                length = packet.duration or self._file.ticks_per_frame
                if reader.leapt:
                    self._note_hole(last_end, packet.pts)
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
                    last_end = max(last_end, packet.pts + length)
            for step in self._planner.steps():
                if step.packet is None:
                    yield from self._again(step.pts, step.moment)
                    continue
                if step.fresh and opened:
                    yield from self._drain(context)
                    context.flush_buffers()
                if step.fresh or not opened:
                    self._begin = step.pts
                opened = True
                yield from self._decode(context, step.packet, step.moment)
                if self._stop.is_set():
                    return
            if packet is None:
                break
        if opened:
            yield from self._drain(context)

    def _reached(self, last: int | None, last_end: int) -> int:
        """How many moments there are frames for, at the end of the file; the rest is written off as lost."""
        end = self._file.seconds(last_end)
        appeared = None if last is None else self._file.seconds(last)
        if not self._file.is_cut_off(appeared, end):
            return len(self._times)
        self._losses.add(end, self._file.end, CUT_SHORT)
        return bisect_right(self._times, end)

    def _note_hole(self, end: int, resumed: int | None) -> None:
        """The container passed over something; see whether frames are missing between `end` and `resumed`."""
        if resumed is not None and resumed - end > HOLE * self._file.ticks_per_frame:
            if not self._careful:
                raise DamageError
            self._holes.append((end, resumed))
            self._losses.add(self._file.seconds(end), self._file.seconds(resumed), UNREADABLE)

    def _expect(self, pts: int, moment: int) -> None:
        """A frame in the decoder, or on its way there, is to be shown at `moment`."""
        if not any(end <= self._limits[moment] < resumed for end, resumed in self._holes):
            self._due.setdefault(pts, []).append(moment)

    def _decode(self, context: VideoCodecContext, packet: Packet, moment: int | None) -> Iterator[Picked]:
        pts = packet.pts
        assert pts is not None
        if moment is not None:
            self._expect(pts, moment)
        if self._careful:
            # What leads up to the first keyframe refers to frames before it and cannot come out.
            if not packet.is_discard and pts >= self._begin:
                insort(self._unseen, (pts, packet.duration or self._file.ticks_per_frame))
                if len(self._unseen) > MOST_DELAYED:
                    self._write_off(before=self._unseen[1][0])
        elif self._file.can_skip:
            context.skip_frame = "DEFAULT" if moment is not None else "NONREF"
        try:
            frames = context.decode(packet)
        except av.error.FFmpegError as error:
            if not self._careful:
                raise DamageError from error
            return
        yield from self._take(frames)

    def _drain(self, context: VideoCodecContext) -> Iterator[Picked]:
        """Have everything that is in the decoder come out."""
        try:
            frames = context.decode(None)
        except av.error.FFmpegError as error:
            if not self._careful:
                raise DamageError from error
            frames = []
        yield from self._take(frames)
        yield from self._missing(before=None)
        self._spare = None

    def _again(self, pts: int, moment: int | None) -> Iterator[Picked]:
        assert moment is not None
        self._expect(pts, moment)
        if pts == self._shown.pts:
            for waiting in self._due.pop(pts, ()):
                yield self._shown.at(waiting)

    def _take(self, frames: Iterable[VideoFrame]) -> Iterator[Picked]:
        for frame in frames:
            self._convert.see(frame)
            if frame.is_corrupt:
                if not self._careful:
                    raise DamageError
                continue
            pts = frame.pts
            if pts is None:
                raise UnplannableError("a frame without a time")
            yield from self._missing(before=pts)
            moments = self._due.pop(pts, None)
            if moments is None:
                self._spare = frame if self._careful else None
                continue
            self._shown.set(frame, self._file.seconds(pts))
            self._spare = None
            for moment in moments:
                yield self._shown.at(moment)

    def _write_off(self, *, before: int | None) -> None:
        """Count as lost what has been sent and will not come out any more."""
        while self._unseen and (before is None or self._unseen[0][0] < before):
            pts, duration = self._unseen.pop(0)
            self._losses.add(self._file.seconds(pts), self._file.seconds(pts + duration), UNDECODABLE)

    def _missing(self, *, before: int | None) -> Iterator[Picked]:
        """See to the frames that ought to have come out by now and have not."""
        missing = sorted(pts for pts in self._due if before is None or pts < before)
        if missing and not self._careful:
            raise JumpError
        self._write_off(before=before)
        if self._unseen and self._unseen[0][0] == before:
            self._unseen.pop(0)
        for pts in missing:
            moments = self._due.pop(pts)
            if self._spare is not None and self._spare.pts is not None:
                self._shown.set(self._spare, self._file.seconds(self._spare.pts))
                self._spare = None
                yield self._shown.at(moments[0])
