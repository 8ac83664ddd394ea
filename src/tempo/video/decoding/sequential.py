"""Plain picking: every frame is decoded."""

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
    Picked,
)

from .container import VideoFile
from .conversion import Converter
from .demuxer import DamageError
from .display_order import DisplayOrder
from .displayed_frame import Shown
from .packet_reader import Reader


class Plain:
    """Decode every frame and take those that are on screen at the moments.

    Not careful: errors raise. Careful: one thread, and what cannot be decoded is done without.
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
        careful: bool,
    ) -> None:
        self._file, self._times, self._stop, self._losses = file, times, stop, losses
        self._moment, self._careful = first, careful
        self._gap: str | None = None  # why something was lost since the last good frame
        self._order = DisplayOrder() if file.slots is not None else None
        self._convert, self._shown = convert, Shown(convert)

    def __iter__(self) -> Iterator[Picked]:
        current: VideoFrame | None = None
        appeared = -math.inf
        for frame in self._frames():
            time = self._time_of(frame, appeared)
            if time <= appeared:
                continue  # the clock went back: what has passed is not shown again
            if current is not None:
                yield from self._show(current, appeared, until=time)
            if self._moment == len(self._times):
                return
            self._convert.see(frame)
            current, appeared, self._gap = frame, time, None
        if current is not None and not self._stop.is_set():
            if self._file.is_cut_off(appeared, appeared + self._file.interval):
                self._gap = self._gap or CUT_SHORT
            yield from self._show(current, appeared, until=math.inf)

    def _show(self, frame: VideoFrame, appeared: float, *, until: float) -> Iterator[Picked]:
        """Show `frame` at the moments that are left before `until`.

        When frames were lost since it appeared, it stands for no more than its own time or one moment.
        """
        own = appeared + self._file.interval
        gap = self._gap if min(until, self._file.end) > own + 0.5 * self._file.interval else None
        if gap:
            self._losses.add(own, min(until, self._file.end), gap)
        fresh = True
        while self._moment < len(self._times) and self._times[self._moment] + self._file.slack < until:
            if fresh or not gap or self._times[self._moment] < own:
                if fresh:
                    self._shown.set(frame, appeared)
                    fresh = False
                yield self._shown.at(self._moment)
            self._moment += 1

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
            if self._careful:
                context.thread_count = 1
            reader = Reader(self._file, container, stream, forgiving=self._careful)
            packet: Packet | None
            resumed: set[int | None] = set()  # pts of packets behind something that the container passed over
            while not self._stop.is_set():
                packet = reader.read()
                if reader.leapt and packet is not None:
                    resumed.add(packet.pts)
                try:
                    frames = context.decode(packet)
                except av.error.FFmpegError as error:
                    if not self._careful:
                        raise DamageError from error
                    frames, self._gap = [], UNDECODABLE
                for frame in frames:
                    if frame.pts in resumed:
                        self._gap = UNREADABLE
                    if not frame.is_corrupt:
                        yield frame
                    elif not self._careful:
                        raise DamageError
                    else:
                        self._gap = UNDECODABLE
                if packet is None:
                    return
