"""Prefill, score, allocate, compress: from a video and a question to the tokens that the decoder reads.

There are two ways, with equal results. Where a video is cached, its question-free part was prefilled once:
:mod:`.question_batch` reads questions behind every segment, allocates the budget, and computes only the
memory tokens that are kept. `compress_uncached` stores nothing: it takes every batch all the way, computes
all memory tokens, and drops those over the budget afterwards.

Shapes: see :mod:`tempo.modeling`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from tempo.console import Progress
from tempo.errors import NonFiniteError
from tempo.networks.compressor import PrefillState
from tempo.processing.batching import SegmentBatch, SegmentSpan, batches
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
) -> Iterator[tuple[SegmentBatch, PrefillState]]:
    """Read a video in batches of segments, up to where a question will stand.

    Frames flow from the file through the compressor and are dropped; memory does not grow with the video.

    Args:
        reserve: for how many more tokens each state has to have space.
        turn: entered for each batch while it is computed.
        most_together: segments of a batch at most.
    """
    compressor, device = engine.model.compressor, engine.device
    batch_size = engine.segments_per_batch(video, reserve=reserve)
    coming = batches(
        video,
        sampling,
        prompts=engine.prompts,
        geometry=engine.geometry,
        segment_frames=engine.config.segment_frames,
        batch_size=min(batch_size, most_together or batch_size),
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
                progress(done, len(sampling))
            yield batch, state
            step()
        if progress is not None and done < len(sampling):  # some could not be decoded
            progress(len(sampling), len(sampling))
    finally:
        coming.close()


def compress_uncached(
    engine: LoadedModel,
    video: Video,
    sampling: Sampling,
    questions: Sequence[tuple[Sequence[int], PhaseTimer]],
    *,
    allocate: Allocate,
    keep: Keep,
    progress: Progress | None = None,
    step: Step = go_on,
    turn: Turn = nullcontext,
) -> list[list[CompressedSegment]]:
    """Watch a video once for some questions and store nothing but its memory tokens.

    Args:
        questions: token ids of each, and what times it; watching counts for the first.
        turn: as for :func:`prefill_video`.
    """
    compressor = engine.model.compressor
    total = compressor.memory_tokens
    spans: list[SegmentSpan] = []
    relevance: list[list[float]] = [[] for _ in questions]
    memory: list[list[torch.Tensor]] = [[] for _ in questions]
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
    ):
        spans += batch.segments
        length, position = state.cache.length, state.position
        for number, (question_ids, timer) in enumerate(questions):
            state.cache.length, state.position = length, position  # before the question that was read last
            with turn(), timer.phase("route"), torch.inference_mode():
                relevance[number] += finite(compressor.score(state, question_ids), engine.dtype)
            with turn(), timer.phase("distil"), torch.inference_mode():
                memory[number] += compressor.compress(state, total)
            step()
    compressed = []
    for scores, tokens, (_, timer) in zip(relevance, memory, questions, strict=True):
        with timer.phase("distil"), torch.inference_mode():
            counts = allocate(scores)
            kept = (
                select(memory_MD, k, total=total, keep=keep, segment=span.index)
                for span, memory_MD, k in zip(spans, tokens, counts, strict=True)
            )
            compressed.append([CompressedSegment(*one) for one in zip(spans, scores, kept, strict=True)])
    return compressed


def finite(relevance_S: torch.Tensor, dtype: torch.dtype) -> list[float]:
    """The relevance of every segment. Raises NonFiniteError where it is not finite."""
    relevance = relevance_S.tolist()
    if not all(map(math.isfinite, relevance)):
        raise NonFiniteError.in_dtype(dtype)
    return relevance
