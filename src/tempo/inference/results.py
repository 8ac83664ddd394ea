"""What a question gets back."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from .moments import Moment, strongest
from .timestamps import with_clock_times

# In this order they follow one another; together with what is between them they are the total.
PHASES = ("decode", "watch", "route", "distil", "answer")


@dataclass(frozen=True)
class AnswerSegment:
    """A few seconds of the video and how much of them the answer rests on.

    Attributes:
        start, end, timestamp: seconds; `timestamp` is what the decoder read before its tokens.
        relevance: how relevant the compressor found it for the question, in (0, 1).
        tokens: how many of its memory tokens the decoder read.
    """

    index: int
    start: float
    end: float
    timestamp: float
    relevance: float
    tokens: int


@dataclass(frozen=True)
class Usage:
    """What an answer took.

    Attributes:
        visual_tokens: memory tokens that the decoder read; timestamps do not count.
        prompt_tokens: everything that the decoder read.
        answer_tokens: what it wrote.
        timings: seconds by phase: decode, watch, route, distil, answer, total. Decode is the time spent
            waiting for frames. Decode and watch are 0 where the video was watched before the question.
        peak_memory_bytes: the most memory that the process has used so far, of the GPU's where one computes.
    """

    visual_tokens: int
    prompt_tokens: int
    answer_tokens: int
    timings: dict[str, float]
    peak_memory_bytes: int


@dataclass(frozen=True)
class LostSpan:
    """A stretch of a video that could not be shown, in seconds, and why."""

    start: float
    end: float
    reason: str


@dataclass(frozen=True)
class VideoInfo:
    """What was watched.

    Attributes:
        frames, fps: how many frames, and how many a second.
        lost_seconds: how much of it could not be shown.
        lost: the spans that this comes to, and why.
        remarks: what was done about times in the file that cannot be taken as they are, a line each.
        generated: whether tempo generated it, as the file says.
    """

    path: str | None
    duration: float
    width: int
    height: int
    frames: int
    fps: float
    lost_seconds: float
    lost: tuple[LostSpan, ...] = ()
    remarks: tuple[str, ...] = ()
    generated: bool = False


@dataclass(frozen=True)
class Answer:
    """An answer, the segments that it rests on, and what it took.

    Attributes:
        finished: whether the model ended its answer itself, before `max_new_tokens`.
        budget: the most memory tokens that it was allowed to read.
        model: the name that the model was loaded by.
        relevance_floor: the relevance below which nothing stands out for this model.
        warnings: what to know before it is relied on, a line each.
    """

    text: str
    token_ids: list[int]
    segments: list[AnswerSegment]
    usage: Usage
    finished: bool
    budget: int
    model: str
    video: VideoInfo
    relevance_floor: float = 0.0
    warnings: tuple[str, ...] = ()

    @property
    def display(self) -> str:
        """The text as people are shown it: with clock times in place of seconds, without blanks around it."""
        return with_clock_times(self.text.strip())

    def with_watching(self, timings: Mapping[str, float]) -> Answer:
        """This answer with the seconds of :attr:`Session.timings` counted in: what a first answer costs."""
        summed = dict(self.usage.timings)
        for phase, seconds in timings.items():
            summed[phase] += seconds
            summed["total"] += seconds
        return replace(self, usage=replace(self.usage, timings=summed))

    @property
    def moments(self) -> list[Moment]:
        """The moments that it rests on, the most relevant first; none where nothing stands out."""
        return strongest(self.segments, floor=self.relevance_floor)

    def __str__(self) -> str:
        return self.text


class AnswerStream(Iterator[str]):
    """The pieces of an answer as they are written; `answer` is there once they are all out."""

    def __init__(self, pieces: Iterator[str | Answer]) -> None:
        self._pieces = pieces
        self._answer: Answer | None = None

    def __next__(self) -> str:
        piece = next(self._pieces)
        while isinstance(piece, Answer):
            self._answer = piece
            piece = next(self._pieces)
        return piece

    @property
    def answer(self) -> Answer:
        """The whole answer; what is not written yet is waited for."""
        for _ in self:
            pass
        if self._answer is None:
            raise RuntimeError("the answer was interrupted before its end")
        return self._answer

    def close(self) -> None:
        """Stop writing."""
        self._pieces.close()  # type: ignore[attr-defined]


class PhaseTimer:
    """Adds up how long each phase took, in seconds; a GPU's work counts for the phase that asked for it."""

    def __init__(self, device: torch.device) -> None:
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._device = device
        self._begun = time.perf_counter()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
            self.seconds[name] += time.perf_counter() - start

    def timings(self) -> dict[str, float]:
        """Seconds by phase, and `total` since the clock was made."""
        return {**self.seconds, "total": time.perf_counter() - self._begun}
