"""The selective decoder: decodes only the packets that the sampled frames need."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np

from tempo.video.frames import Losses, SampledFrame

from .container import VideoFile
from .conversion import Converter
from .planned_steps import PlannedSteps
from .step_decoder import StepDecoder


class SelectiveDecoder:
    """Decodes only the packets that the sampled frames need, with one decoder.

    Any irregularity raises, unless it is error-tolerant. Then it uses one thread, decodes everything from the
    first needed packet to the last, and leaves out or replaces what cannot be decoded.
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
        self._file, self._convert, self._stop, self._losses = file, convert, stop, losses
        self._error_tolerant = error_tolerant
        self._plan = PlannedSteps(
            file, times, stop, losses, first=first, seeks=seeks, error_tolerant=error_tolerant
        )

    def __iter__(self) -> Iterator[SampledFrame]:
        with self._file.open() as container:
            stream = self._file.stream_of(container)
            context = self._convert.decoder(stream)
            context.thread_type = "AUTO"
            if self._error_tolerant:
                context.thread_count = 1
            decoder = StepDecoder(
                self._file,
                self._plan,
                context,
                self._convert,
                self._losses,
                error_tolerant=self._error_tolerant,
            )
            for step in self._plan.read(container, stream):
                yield from decoder.take(step)
                if self._stop.is_set():
                    return
            yield from decoder.finish()
