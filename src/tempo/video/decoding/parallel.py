"""The parallel decoder: several decoders at once, each for another group of pictures.

One plan says what is decoded, as for one decoder. It is cut at keyframes where nothing that is still to be
shown refers to anything before them, and each part, a *group*, goes to whichever worker is free. The workers
decode the same packets as one decoder would, and the frames come in the same order.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator

import numpy as np
from av.packet import Packet

from tempo.host_cores import cores
from tempo.video.frames import Losses, SampledFrame
from tempo.video.prefetch import Handover

from .container import VideoFile
from .conversion import Converter
from .planned_steps import PlannedSteps
from .seek_planner import MOST_BYTES, MOST_PACKETS, Step, UnplannableError
from .step_decoder import StepDecoder

GROUP_PACKETS = 24  # decoding fewer costs about as much as to start and drain a decoder
GROUP_BYTES = 32 << 20  # decoded frames of a group that may wait
GROUPS_A_WORKER = 2  # that are decoded or wait to be taken: nobody idles behind the slowest


class ParallelDecoder:
    """Decodes the packets that the sampled frames need, with several decoders in threads.

    Any irregularity raises, after the frames before it: DamageError, SeekError or UnplannableError. One
    decoder, which reads the file in order, knows better what to do about it.

    Args:
        workers: how many decoders. They share the cores.
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
        workers: int,
    ) -> None:
        self._file, self._convert, self._losses = file, convert, losses
        self._workers = workers
        self._ahead = max(2, GROUP_BYTES // convert.frame_bytes)
        self._plan = PlannedSteps(
            file, times, stop, losses, first=first, seeks=True, error_tolerant=False, group=GROUP_PACKETS
        )
        self._stop = stop
        self._closed = threading.Event()
        self._lock = threading.Lock()  # of what is below
        self._active = workers
        self._unfinished: set[Handover[SampledFrame]] = set()
        self._room = threading.Semaphore(workers * GROUPS_A_WORKER)
        self._groups: queue.SimpleQueue[Handover[SampledFrame] | None] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[SampledFrame]:
        reader = _GroupReader(self._file, self._plan)
        threads = [
            threading.Thread(target=self._work, args=(reader,), name=f"tempo-decode-{number}", daemon=True)
            for number in range(self._workers)
        ]
        for thread in threads:
            thread.start()
        try:
            while (group := self._groups.get()) is not None:
                yield from group
                with self._lock:
                    self._unfinished.discard(group)
                self._room.release()
        finally:
            self._close()
            for thread in threads:
                thread.join(timeout=5)  # a read from the network may hang longer; see `in_background`

    def _close(self) -> None:
        with self._lock:
            self._closed.set()
            for group in self._unfinished:
                group.hang_up()
        for _ in range(self._workers):
            self._room.release()

    @property
    def _is_over(self) -> bool:
        return self._closed.is_set() or self._stop.is_set()

    def _work(self, reader: _GroupReader) -> None:
        """Decode one group after the other, in a thread."""
        try:
            with self._file.open() as container:
                stream = self._file.stream_of(container)
                convert = self._convert.copy()
                context = convert.decoder(stream)
                context.thread_type = "AUTO"
                context.thread_count = max(1, cores() // self._workers)
                decoder = StepDecoder(
                    self._file, self._plan, context, convert, self._losses, error_tolerant=False
                )
                while self._decode_group(reader, decoder):
                    pass
        except BaseException as error:  # raised where the frames are taken
            if (group := self._begin_group()) is not None:
                group.finish(error)
        finally:
            with self._lock:
                self._active -= 1
                last = not self._active
            if last:
                reader.close()
                self._groups.put(None)

    def _begin_group(self) -> Handover[SampledFrame] | None:
        """The next group in order; None: nobody wants it."""
        with self._lock:
            if self._is_over:
                return None
            group: Handover[SampledFrame] = Handover(self._ahead)
            self._unfinished.add(group)
            self._groups.put(group)
            return group

    def _decode_group(self, reader: _GroupReader, decoder: StepDecoder) -> bool:
        """Decode the next group; False: there is none, or nobody wants it."""
        self._room.acquire()
        with reader.turn() as turn:
            if reader.ended or (group := self._begin_group()) is None:
                return False
            error: BaseException | None = None
            try:
                is_whole = False
                while not is_whole:
                    steps, is_whole = reader.read()
                    if is_whole:
                        turn.close()  # the next worker may read the next group
                    for step in steps:
                        if not self._put_all(decoder.take(step), group):
                            return False
                return self._put_all(decoder.finish(), group)
            except BaseException as caught:
                error = caught
                return False
            finally:
                group.finish(error)

    def _put_all(self, frames: Iterator[SampledFrame], group: Handover[SampledFrame]) -> bool:
        return all(group.put(frame) for frame in frames) and not self._is_over


class _GroupReader:
    """Reads the groups of a plan one after the other, for several threads that take turns."""

    def __init__(self, file: VideoFile, plan: PlannedSteps) -> None:
        self._turn = threading.Lock()
        self._steps = self._read(file, plan)
        self._next: Step[Packet] | None = None  # the first step of the next group
        self._error: Exception | None = None  # raised once the steps before it have been taken
        self.ended = False

    @staticmethod
    def _read(file: VideoFile, plan: PlannedSteps) -> Iterator[Step[Packet]]:
        with file.open() as container:
            yield from plan.read(container, file.stream_of(container))

    def turn(self) -> contextlib.ExitStack:
        """Wait for the turn to read; closing gives it to the next thread."""
        stack = contextlib.ExitStack()
        stack.enter_context(self._turn)
        return stack

    def read(self) -> tuple[list[Step[Packet]], bool]:
        """Steps of a group, and whether they are its last: a long one comes in several parts.

        Raises whatever keeps the file from being read on.
        """
        if self._error is not None:
            raise self._error
        steps = [] if self._next is None else [self._next]
        self._next = None
        size = 0
        try:
            for step in self._steps:
                if step.packet is not None:
                    if step.packet.has_sidedata("new_extradata"):
                        raise UnplannableError("the other decoders would not see these headers")
                    if step.fresh and steps:
                        self._next = step
                        return steps, True
                    size += step.packet.size
                steps.append(step)
                if len(steps) >= MOST_PACKETS or size >= MOST_BYTES:
                    return steps, False
        except Exception as error:
            self._error = error
            return steps, True
        self.ended = True
        return steps, True

    def close(self) -> None:
        """Close the file. For the last thread."""
        self._steps.close()  # type: ignore[attr-defined]
