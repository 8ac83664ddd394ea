"""The sequential decoder: decodes every frame and takes those on screen at the sampled times."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

import av.error
import numpy as np
from av.packet import Packet
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
from .display_order import DisplayOrder
from .displayed_frame import DisplayedFrame
from .packet_reader import PacketReader


class SequentialDecoder:
    """Decodes every frame and takes those that are on screen at the samples.

    Errors raise, unless it is error-tolerant: then it uses one thread and leaves out what cannot be decoded.
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
        error_tolerant: bool,
    ) -> None:
        self._file, self._times, self._stop, self._losses = file, times, stop, losses
        self._sample, self._error_tolerant = first, error_tolerant
        self._gap_reason: str | None = None  # why something was lost since the last good frame
        self._order = DisplayOrder() if file.display_times is not None else None
        self._convert, self._shown = convert, DisplayedFrame(convert)

    def __iter__(self) -> Iterator[SampledFrame]:
        current: VideoFrame | None = None
        appeared = -math.inf
        for frame in self._frames():
            time = self._time_of(frame, appeared)
            if time <= appeared:
                continue  # the clock went back: do not show earlier times again
            if current is not None:
                yield from self._show(current, appeared, until=time)
            if self._sample == len(self._times):
                return
            self._convert.see(frame)
            current, appeared, self._gap_reason = frame, time, None
        if current is not None and not self._stop.is_set():
            if self._file.is_cut_off(appeared, appeared + self._file.interval):
                self._gap_reason = self._gap_reason or CUT_SHORT
            yield from self._show(current, appeared, until=math.inf)

    def _show(self, frame: VideoFrame, appeared: float, *, until: float) -> Iterator[SampledFrame]:
        """Show `frame` at the samples that are left before `until`.

        If frames were lost since it appeared, it is shown during its own time or at one sample, not beyond.
        """
        own = appeared + self._file.interval
        gap = self._gap_reason if min(until, self._file.end) > own + 0.5 * self._file.interval else None
        if gap:
            self._losses.add(own, min(until, self._file.end), gap)
        fresh = True
        while self._sample < len(self._times) and self._times[self._sample] + self._file.slack < until:
            if fresh or not gap or self._times[self._sample] < own:
                if fresh:
                    self._shown.set(frame, appeared)
                    fresh = False
                yield self._shown.at(self._sample)
            self._sample += 1

    def _time_of(self, frame: VideoFrame, appeared: float) -> float:
        if self._order is not None:
            return self._file.seconds(self._order.number(frame))
        ticks = frame.pts if frame.pts is not None else frame.dts
        if ticks is not None:
            return self._file.seconds(ticks)
        return self._file.start if math.isinf(appeared) else appeared + self._file.interval

    def _frames(self) -> Iterator[VideoFrame]:
        with self._file.open() as container:
            stream = self._file.stream_of(container)
            context = self._convert.decoder(stream)
            context.thread_type = "AUTO"
            if self._error_tolerant:
                context.thread_count = 1
            reader = PacketReader(self._file, container, stream, error_tolerant=self._error_tolerant)
            packet: Packet | None
            resumed: set[int | None] = set()  # pts of the packets after a resync
            while not self._stop.is_set():
                packet = reader.read()
                if reader.resynced and packet is not None:
                    resumed.add(packet.pts)
                try:
                    frames = context.decode(packet)
                except av.error.FFmpegError as error:
                    if not self._error_tolerant:
                        raise DamageError from error
                    frames, self._gap_reason = [], UNDECODABLE
                for frame in frames:
                    if frame.pts in resumed:
                        self._gap_reason = UNREADABLE
                    if not frame.is_corrupt:
                        yield frame
                    elif not self._error_tolerant:
                        raise DamageError
                    else:
                        self._gap_reason = UNDECODABLE
                if packet is None:
                    return
