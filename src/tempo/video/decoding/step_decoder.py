"""Decodes the steps of a plan with one decoder."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Iterable, Iterator

import av.error
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from tempo.video.frames import UNDECODABLE, Losses, SampledFrame

from .container import VideoFile
from .conversion import Converter
from .demuxer import DamageError
from .displayed_frame import DisplayedFrame
from .packet_reader import SeekError
from .planned_steps import PlannedSteps
from .seek_planner import Step, UnplannableError

MOST_DELAYED = 64  # frames that a decoder may hold back


class StepDecoder:
    """Decodes steps and yields the frames that they show.

    Any irregularity raises, unless it is error-tolerant. Then an error has to belong to the packet that
    caused it, so the codec context must use one thread; a missing frame is replaced by the last good one
    before it, or given up.
    """

    def __init__(
        self,
        file: VideoFile,
        plan: PlannedSteps,
        context: VideoCodecContext,
        convert: Converter,
        losses: Losses,
        *,
        error_tolerant: bool,
    ) -> None:
        self._file, self._plan, self._context, self._losses = file, plan, context, losses
        self._error_tolerant = error_tolerant
        self._opened = False
        # pts of frames on their way through the decoder → samples that show them.
        self._due: dict[int, list[int]] = {}
        # The next three are of the error-tolerant decoder only.
        self._pending: list[tuple[int, int]] = []  # (pts, duration) of packets sent whose frame has not come
        self._spare: VideoFrame | None = None  # last good frame that was not shown
        self._begin = -math.inf  # pts of the keyframe that decoding began with
        self._convert, self._shown = convert, DisplayedFrame(convert)

    def take(self, step: Step[Packet]) -> Iterator[SampledFrame]:
        """Do one step. Raises DamageError, SeekError or UnplannableError."""
        if step.packet is None:
            yield from self._repeat(step.pts, step.sample)
            return
        if step.fresh:
            yield from self.finish()
        if step.fresh or not self._opened:
            self._begin = step.pts
        self._opened = True
        yield from self._decode(step.packet, step.sample)

    def finish(self) -> Iterator[SampledFrame]:
        """Take the frames that are still in the decoder and empty it; the next step has to be a fresh one."""
        if not self._opened:
            return
        try:
            frames = self._context.decode(None)
        except av.error.FFmpegError as error:
            if not self._error_tolerant:
                raise DamageError from error
            frames = []
        yield from self._take(frames)
        yield from self._handle_missing(before=None)
        self._spare = None
        self._context.flush_buffers()
        self._opened = False

    def _expect(self, pts: int, sample: int) -> None:
        """Show a frame, which is in the decoder or on its way there, at `sample`."""
        if not self._plan.is_in_a_gap(sample):
            self._due.setdefault(pts, []).append(sample)

    def _decode(self, packet: Packet, sample: int | None) -> Iterator[SampledFrame]:
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
            self._context.skip_frame = "DEFAULT" if sample is not None else "NONREF"
        try:
            frames = self._context.decode(packet)
        except av.error.FFmpegError as error:
            if not self._error_tolerant:
                raise DamageError from error
            return
        yield from self._take(frames)

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
