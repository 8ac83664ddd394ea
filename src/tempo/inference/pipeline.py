"""Prefill, score, allocate, compress: from a video and a question to the tokens that the decoder reads.

There are two ways, with equal results, and on both scoring and compressing are two stages: between them the
budget is allocated, for which the relevance of all segments has to be known. Where a video is cached, its
question-free part was prefilled once: :mod:`.question_batch` reads questions behind every segment, and
computes only the memory tokens that are kept. `score_uncached` keeps nothing of the video: it takes every
batch all the way, computes all memory tokens, and those over the budget are dropped afterwards.

Shapes: see :mod:`tempo.modeling`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch

from tempo.console import Progress
from tempo.errors import NonFiniteError
from tempo.networks.compressor import PrefillState
from tempo.processing.batching import SegmentBatch, SegmentRange, SegmentSpan, batches
from tempo.video.video import Sampling, Video

from .keep_strategies import Keep
from .loaded_model import LoadedModel
from .phase_timer import PhaseTimer
from .token_selection import select

Step = Callable[[], None]
"""Called between two steps of the work, a batch of segments or a token; what it raises ends the work."""

Turn = Callable[[], AbstractContextManager[None]]
"""Entered for each batch of segments while it is computed; what waits for frames is outside."""

Allocate = Callable[[list[float]], list[int]]
"""Relevance of every segment → how many memory tokens each keeps."""


def go_on() -> None:
    """The step of work that nobody interrupts."""


@dataclass(frozen=True)
class CompressedSegment:
    """One segment as the decoder will read it."""

    span: SegmentSpan
    relevance: float
    memory_kD: torch.Tensor


class ScoredQuestions(Protocol):
    """Questions about a video whose segments have their relevance, and not yet their memory tokens.

    Attributes:
        spans: the segments.
        relevance: of each of them, for each question.
    """

    spans: list[SegmentSpan]
    relevance: list[list[float]]

    def compress(
        self, counts: Sequence[Sequence[int]], *, step: Step = go_on
    ) -> list[list[CompressedSegment]]:
        """Compute the kept memory tokens; done once.

        Args:
            counts: how many each segment keeps, for each question.

        Raises:
            DamagedEntryError: an entry on disk is not what was written.
        """


def prefill_video(
    engine: LoadedModel,
    video: Video,
    sampling: Sampling,
    *,
    timer: PhaseTimer,
    progress: Progress | None = None,
    step: Step = go_on,
    reserve: int = 0,
    turn: Turn = nullcontext,
    most_together: int | None = None,
    part: SegmentRange | None = None,
) -> Iterator[tuple[SegmentBatch, PrefillState]]:
    """Read a video in batches of segments, up to where a question will stand.

    Frames flow from the file through the compressor and are dropped; memory does not grow with the video.

    Args:
        reserve: for how many more tokens each state has to have space.
        turn: entered for each batch while it is computed.
        most_together: segments of a batch at most.
        part: which segments; None: all.
    """
    compressor, device = engine.model.compressor, engine.device
    segment_frames = engine.config.segment_frames
    frames = len(sampling) if part is None else part.frames(sampling, segment_frames)
    batch_size = engine.segments_per_batch(video, reserve=reserve)
    coming = batches(
        video,
        sampling,
        prompts=engine.prompts,
        geometry=engine.geometry,
        segment_frames=segment_frames,
        batch_size=min(batch_size, most_together or batch_size),
        part=part,
    )
    done = 0
    try:
        while True:
            with timer.phase("decode"):
                batch = next(coming, None)
            if batch is None:
                break
            with turn(), timer.phase("watch"), torch.inference_mode():
                pixels_SPC = batch.pixels_SPC.to(device, engine.dtype)
                ids_SL = batch.ids_SL.to(device)
                state = compressor.prefill(pixels_SPC, batch.grid, ids_SL, batch.spans, reserve=reserve)
            done += batch.frames
            if progress is not None:
                progress(done, frames)
            yield batch, state
            step()
        if progress is not None and done < frames:  # some could not be decoded
            progress(frames, frames)
    finally:
        coming.close()


class UncachedScores:
    """All memory tokens of all segments for some questions, of which the allocated ones are kept."""

    def __init__(self, engine: LoadedModel, timers: Sequence[PhaseTimer], keep: Keep) -> None:
        self._total, self._timers, self._keep = engine.model.compressor.memory_tokens, timers, keep
        self.spans: list[SegmentSpan] = []
        self.relevance: list[list[float]] = [[] for _ in timers]
        self.memory: list[list[torch.Tensor]] = [[] for _ in timers]

    def compress(
        self, counts: Sequence[Sequence[int]], *, step: Step = go_on
    ) -> list[list[CompressedSegment]]:
        """See :class:`ScoredQuestions`."""
        compressed = []
        for kept, scores, tokens, timer in zip(
            counts, self.relevance, self.memory, self._timers, strict=True
        ):
            with timer.phase("distil"), torch.inference_mode():
                chosen = (
                    select(memory_MD, k, total=self._total, keep=self._keep, segment=span.index)
                    for span, memory_MD, k in zip(self.spans, tokens, kept, strict=True)
                )
                compressed.append(
                    [CompressedSegment(*one) for one in zip(self.spans, scores, chosen, strict=True)]
                )
        return compressed


def score_uncached(
    engine: LoadedModel,
    video: Video,
    sampling: Sampling,
    questions: Sequence[tuple[Sequence[int], PhaseTimer]],
    *,
    keep: Keep,
    progress: Progress | None = None,
    step: Step = go_on,
    turn: Turn = nullcontext,
    most_together: int | None = None,
    part: SegmentRange | None = None,
) -> UncachedScores:
    """Watch a video once for some questions and keep nothing but its memory tokens.

    Args:
        questions: token ids of each, and what times it; watching counts for the first.
        turn, most_together, part: as for :func:`prefill_video`.
    """
    compressor = engine.model.compressor
    total = compressor.memory_tokens
    scored = UncachedScores(engine, [timer for _, timer in questions], keep)
    reserve = max(len(question_ids) for question_ids, _ in questions) + total
    for batch, state in prefill_video(
        engine,
        video,
        sampling,
        timer=questions[0][1],
        progress=progress,
        step=step,
        reserve=reserve,
        turn=turn,
        most_together=most_together,
        part=part,
    ):
        scored.spans += batch.segments
        length, position = state.cache.length, state.position
        for number, (question_ids, timer) in enumerate(questions):
            state.cache.length, state.position = length, position  # before the question that was read last
            with turn(), timer.phase("route"), torch.inference_mode():
                scored.relevance[number] += finite(compressor.score(state, question_ids), engine.dtype)
            with turn(), timer.phase("distil"), torch.inference_mode():
                scored.memory[number] += compressor.compress(state, total)
            step()
    return scored


def finite(relevance_S: torch.Tensor, dtype: torch.dtype) -> list[float]:
    """The relevance of every segment. Raises NonFiniteError where it is not finite."""
    relevance = relevance_S.tolist()
    if not all(map(math.isfinite, relevance)):
        raise NonFiniteError.in_dtype(dtype)
    return relevance
