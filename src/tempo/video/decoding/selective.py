"""The selective decoder: decodes only what the sampled frames need, as :mod:`.seek_planner` plans it."""

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
    SampledFrame,
)

from .container import VideoFile
from .conversion import Converter
from .demuxer import DamageError
from .displayed_frame import DisplayedFrame
from .packet_reader import PacketReader, Seeker, SeekError
from .seek_planner import Planner, UnplannableError

GAP_FRAMES = 2  # frames' time without a packet after a resync that counts as missing
MOST_DELAYED = 64  # frames that a decoder may hold back


class SelectiveDecoder:
    """Decodes only the packets that the sampled frames need.

    Any irregularity raises, unless it is error-tolerant. Then it uses one thread, so that an error belongs to
    the packet that caused it, decodes everything from the first needed packet to the last, and replaces a
    missing frame by the last good one before it or gives it up.
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
        seeks: bool,
        error_tolerant: bool,
    ) -> None:
        self._file, self._times, self._stop, self._losses = file, times, stop, losses
        self._seeks, self._error_tolerant = seeks, error_tolerant
        limits = file.limits(times)
        self._planner: Planner[Packet] = Planner(limits, first=first, seeks=seeks)
        self._limits = limits
        # pts of frames on their way through the decoder → samples that show them.
        self._due: dict[int, list[int]] = {}
        # The next three are of the error-tolerant decoder only.
        self._gaps: list[tuple[int, int]] = []  # from pts to pts, where packets are missing
        self._pending: list[tuple[int, int]] = []  # (pts, duration) of packets sent whose frame has not come
        self._spare: VideoFrame | None = None  # last good frame that was not shown
        self._begin = -math.inf  # pts of the keyframe that decoding began with
        self._convert, self._shown = convert, DisplayedFrame(convert)

    def __iter__(self) -> Iterator[SampledFrame]:
        with self._file.open() as container:
            stream = self._file.stream_of(container)
            context = self._convert.decoder(stream)
            context.thread_type = "AUTO"
            if self._error_tolerant:
                context.thread_count = 1
            with PacketReader(self._file, container, stream, error_tolerant=self._error_tolerant) as reader:
                yield from self._run(reader, context)

    def _run(self, reader: PacketReader, context: VideoCodecContext) -> Iterator[SampledFrame]:
        seeker = Seeker(self._file, reader, self._limits) if self._seeks else None
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
                if reader.resynced:
                    self._note_gap(last_end, packet.pts)
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
                    yield from self._repeat(step.pts, step.sample)
                    continue
                if step.fresh and opened:
                    yield from self._drain(context)
                    context.flush_buffers()
                if step.fresh or not opened:
                    self._begin = step.pts
                opened = True
                yield from self._decode(context, step.packet, step.sample)
                if self._stop.is_set():
                    return
            if packet is None:
                break
        if opened:
            yield from self._drain(context)

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
            self._gaps.append((end, resumed))
            self._losses.add(self._file.seconds(end), self._file.seconds(resumed), UNREADABLE)

    def _expect(self, pts: int, sample: int) -> None:
        """Show a frame, which is in the decoder or on its way there, at `sample`."""
        if not any(end <= self._limits[sample] < resumed for end, resumed in self._gaps):
            self._due.setdefault(pts, []).append(sample)

    def _decode(
        self, context: VideoCodecContext, packet: Packet, sample: int | None
    ) -> Iterator[SampledFrame]:
        pts = packet.pts
        assert pts is not None
        if sample is not None:
            self._expect(pts, sample)
        if self._error_tolerant:
            # What leads up to the first keyframe refers to frames before it and cannot come out.
            if not packet.is_discard and pts >= self._begin:
                insort(self._pending, (pts, packet.duration or self._file.ticks_per_frame))
                if len(self._pending) > MOST_DELAYED:
                    self._write_off(before=self._pending[1][0])
        elif self._file.can_skip:
            context.skip_frame = "DEFAULT" if sample is not None else "NONREF"
        try:
            frames = context.decode(packet)
        except av.error.FFmpegError as error:
            if not self._error_tolerant:
                raise DamageError from error
            return
        yield from self._take(frames)

    def _drain(self, context: VideoCodecContext) -> Iterator[SampledFrame]:
        """Flush the decoder and take the frames that come out."""
        try:
            frames = context.decode(None)
        except av.error.FFmpegError as error:
            if not self._error_tolerant:
                raise DamageError from error
            frames = []
        yield from self._take(frames)
        yield from self._handle_missing(before=None)
        self._spare = None

    def _repeat(self, pts: int, sample: int | None) -> Iterator[SampledFrame]:
        assert sample is not None
        self._expect(pts, sample)
        if pts == self._shown.pts:
            for waiting in self._due.pop(pts, ()):
                yield self._shown.at(waiting)

    def _take(self, frames: Iterable[VideoFrame]) -> Iterator[SampledFrame]:
        for frame in frames:
            self._convert.see(frame)
            if frame.is_corrupt:
                if not self._error_tolerant:
                    raise DamageError
                continue
            pts = frame.pts
            if pts is None:
                raise UnplannableError("a frame without a time")
            yield from self._handle_missing(before=pts)
            samples = self._due.pop(pts, None)
            if samples is None:
                self._spare = frame if self._error_tolerant else None
                continue
            self._shown.set(frame, self._file.seconds(pts))
            self._spare = None
            for sample in samples:
                yield self._shown.at(sample)

    def _write_off(self, *, before: int | None) -> None:
        """Count the frames as lost that were sent to the decoder and will not come out any more."""
        while self._pending and (before is None or self._pending[0][0] < before):
            pts, duration = self._pending.pop(0)
            self._losses.add(self._file.seconds(pts), self._file.seconds(pts + duration), UNDECODABLE)

    def _handle_missing(self, *, before: int | None) -> Iterator[SampledFrame]:
        """Handle the frames that should have come out `before` a pts, or by the end, and have not."""
        missing = sorted(pts for pts in self._due if before is None or pts < before)
        if missing and not self._error_tolerant:
            raise SeekError
        self._write_off(before=before)
        if self._pending and self._pending[0][0] == before:
            self._pending.pop(0)
        for pts in missing:
            samples = self._due.pop(pts)
            if self._spare is not None and self._spare.pts is not None:
                self._shown.set(self._spare, self._file.seconds(self._spare.pts))
                self._spare = None
                yield self._shown.at(samples[0])
