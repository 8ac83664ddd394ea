"""Prefill, score, allocate, compress: from a video and a question to the tokens that the decoder reads.

There are two ways, with equal results. Where a video is cached, its question-free part was prefilled once:
`compress_cached` reads the question behind every segment, allocates the budget, and computes only the memory
tokens that are kept. `compress_uncached` stores nothing: it takes every batch all the way, computes all
memory tokens, and drops those over the budget afterwards.

Shapes: see :mod:`tempo.modeling`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from tempo.console import Progress
from tempo.errors import NonFiniteError
from tempo.networks.compressor import Compressor, PrefillState
from tempo.networks.kv_cache import KVCache, ScratchBuffer
from tempo.processing.batching import SegmentBatch, SegmentSpan, batches
from tempo.video.video import Sampling, Video

from .cache_entry import CacheEntry
from .keep_strategies import Keep
from .loaded_model import LoadedModel
from .phase_timer import PhaseTimer
from .token_selection import select, tokens_needed

Step = Callable[[], None]
"""Called between two steps of the work, a batch of segments or a token; what it raises ends the work."""

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
) -> Iterator[tuple[SegmentBatch, PrefillState]]:
    """Read a video in batches of segments, up to where a question will stand.

    Frames flow from the file through the compressor and are dropped; memory does not grow with the video.

    Args:
        reserve: for how many more tokens each state has to have space.
    """
    compressor, device = engine.model.compressor, engine.device
    coming = batches(
        video,
        sampling,
        prompts=engine.prompts,
        geometry=engine.geometry,
        segment_frames=engine.config.segment_frames,
        batch_size=engine.segments_per_batch(video, reserve=reserve),
    )
    done = 0
    try:
        while True:
            with timer.phase("decode"):
                batch = next(coming, None)
            if batch is None:
                break
            with timer.phase("watch"), torch.inference_mode():
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
        coming.close()  # type: ignore[attr-defined]


def compress_cached(
    engine: LoadedModel,
    video: Video,
    entries: Sequence[CacheEntry],
    question_ids: Sequence[int],
    *,
    allocate: Allocate,
    keep: Keep,
    timer: PhaseTimer,
    step: Step = go_on,
) -> list[CompressedSegment]:
    """Read a question behind every cached segment, and compute only the memory tokens that are kept.

    Raises:
        DamagedEntryError: an entry on disk is not what was written.
    """
    compressor = engine.model.compressor
    total = compressor.memory_tokens
    batch_size = engine.segments_per_batch(video, reserve=len(question_ids) + total, cached=True)
    cache = _CachedSegments(entries, engine.device)
    with timer.phase("route"), torch.inference_mode():
        relevance = [0.0] * len(cache)
        question: list[torch.Tensor] = [torch.empty(0)] * len(cache)  # its keys and values, [K, 2, G, Q, E]
        for group in cache.groups(range(len(cache)), batch_size):
            state = cache.state(group, reserve=len(question_ids))
            scores = _score(compressor, state, question_ids)
            question_SK2GQE = state.cache.data[:, :, :, :, -len(question_ids) :].clone()
            for at, index in enumerate(group):
                relevance[index], question[index] = scores[at], question_SK2GQE[at]
            step()
    with timer.phase("distil"), torch.inference_mode():
        counts = allocate(relevance)
        needed = [
            tokens_needed(k, total=total, keep=keep, segment=span.index)
            for span, k in zip(cache.spans, counts, strict=True)
        ]
        memory: list[torch.Tensor] = [torch.empty(0)] * len(cache)
        # Segments that need about as many tokens go together: what is computed beyond a need is lost.
        most_first = sorted(range(len(cache)), key=lambda index: -needed[index])
        for group in cache.groups(most_first, batch_size):
            count = max(needed[index] for index in group)
            state = cache.state(group, reserve=count, behind=question)
            memory_SkD = compressor.compress(state, count)
            for at, index in enumerate(group):
                tokens = memory_SkD[at, : needed[index]]
                number = cache.spans[index].index
                memory[index] = select(tokens, counts[index], total=total, keep=keep, segment=number)
            step()
    return [CompressedSegment(*one) for one in zip(cache.spans, relevance, memory, strict=True)]


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
) -> list[list[CompressedSegment]]:
    """Watch a video once for some questions and store nothing but its memory tokens.

    Args:
        questions: token ids of each, and what times it; watching counts for the first.
    """
    compressor = engine.model.compressor
    total = compressor.memory_tokens
    spans: list[SegmentSpan] = []
    relevance: list[list[float]] = [[] for _ in questions]
    memory: list[list[torch.Tensor]] = [[] for _ in questions]
    reserve = max(len(question_ids) for question_ids, _ in questions) + total
    for batch, state in prefill_video(
        engine, video, sampling, timer=questions[0][1], progress=progress, step=step, reserve=reserve
    ):
        spans += batch.segments
        length, position = state.cache.length, state.position
        for number, (question_ids, timer) in enumerate(questions):
            state.cache.length, state.position = length, position  # before the question that was read last
            with timer.phase("route"), torch.inference_mode():
                relevance[number] += _score(compressor, state, question_ids)
            with timer.phase("distil"), torch.inference_mode():
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


def _score(compressor: Compressor, state: PrefillState, question_ids: Sequence[int]) -> list[float]:
    """The relevance of every segment. Raises NonFiniteError where it is not finite."""
    relevance_S = compressor.score(state, question_ids).tolist()
    if not all(map(math.isfinite, relevance_S)):
        raise NonFiniteError.in_dtype(state.cache.data.dtype)
    return relevance_S


class _CachedSegments:
    """The segments of some cache entries, one after the other, to be read on from in any grouping."""

    def __init__(self, entries: Sequence[CacheEntry], device: torch.device) -> None:
        self._rows = [(entry, row) for entry in entries for row in range(len(entry.segments))]
        self._device = device
        self._gathered, self._staging = ScratchBuffer(), ScratchBuffer()
        self.spans = [entry.segments[row] for entry, row in self._rows]

    def __len__(self) -> int:
        return len(self._rows)

    def groups(self, order: Sequence[int], size: int) -> Iterator[list[int]]:
        """Indices of segments with equal layout, at most `size` at a time, in the given order."""
        layouts: dict[object, list[int]] = {}
        for index in order:
            entry, _ = self._rows[index]
            layouts.setdefault((entry.position, entry.row_shape), []).append(index)
        for members in layouts.values():
            for start in range(0, len(members), size):
                yield members[start : start + size]

    def state(
        self, group: Sequence[int], *, reserve: int, behind: Sequence[torch.Tensor] | None = None
    ) -> PrefillState:
        """A copy of some segments, to read on from; it is overwritten by the next one.

        Args:
            behind: for every segment the keys and values [K, 2, G, L, E] of what was read behind it.

        Raises:
            DamagedEntryError: a segment is not what was written.
        """

        def pieces() -> Iterator[list[torch.Tensor]]:
            for index in group:
                entry, row = self._rows[index]
                own = entry.row(row, self._staging)
                yield [own] if behind is None else [own, behind[index]]

        cache = KVCache.gather(
            pieces(), segments=len(group), reserve=reserve, device=self._device, buffer=self._gathered
        )
        first, _ = self._rows[group[0]]
        return PrefillState(cache, first.position + cache.length - first.row_shape[3])
