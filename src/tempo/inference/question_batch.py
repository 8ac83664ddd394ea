"""Questions about cached videos, scored and compressed together: of one video or of many.

A question and a segment are an item. Items whose segments are about equally long go through the compressor
side by side, whichever question and video they belong to; each is what it would be alone.

Shapes: see :mod:`tempo.modeling`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import torch

from tempo.networks.compressor import Gaps, PrefillState
from tempo.networks.kv_cache import KVCache, ScratchBuffer
from tempo.processing.batching import SegmentSpan
from tempo.video.video import Video

from .cache_entry import CacheEntry
from .keep_strategies import Keep
from .loaded_model import LoadedModel
from .phase_timer import PhaseTimer, phase_of_all
from .pipeline import Allocate, CompressedSegment, Step, finite, go_on
from .token_selection import select, tokens_needed

# Segments go together where the longest is at most so many times the shortest: what it is longer is padded.
_MOST_PADDING = 1.125


@dataclass(eq=False)
class CachedQuestion:
    """A question about a cached video.

    Attributes:
        entries: the video's segments.
        question_ids: the question as the compressor reads it.
        timer: counts the time that the question waits for the batch.
        allocate: how many memory tokens each segment keeps, from the relevance of all; None: whoever scores
            the question allocates.
    """

    video: Video
    entries: Sequence[CacheEntry]
    question_ids: Sequence[int]
    keep: Keep
    timer: PhaseTimer
    allocate: Allocate | None = None


@dataclass(eq=False)
class _Item:
    """One segment for one question; `behind` are the question's keys and values [K, 2, G, Q, E] there."""

    question: CachedQuestion
    entry: CacheEntry
    row: int
    relevance: float = 0.0
    behind: torch.Tensor | None = None
    count: int = 0
    needed: int = 0
    memory_kD: torch.Tensor | None = None

    @property
    def span(self) -> SegmentSpan:
        return self.entry.segments[self.row]

    @property
    def length(self) -> int:
        """Tokens of the segment up to the question."""
        return self.entry.row_shape[3]


def compress_together(
    engine: LoadedModel, questions: Sequence[CachedQuestion], *, step: Step = go_on
) -> list[list[CompressedSegment]]:
    """Read each question behind its cached segments, and compute only the memory tokens that are kept.

    Args:
        step: called behind each batch of segments.

    Raises:
        DamagedEntryError: an entry on disk is not what was written; ask each question alone to know whose.
    """
    allocations = [question.allocate for question in questions if question.allocate is not None]
    assert len(allocations) == len(questions), "each question has to be allocated here"
    scored = score_together(engine, questions, step=step)
    counts = [allocate(relevance) for allocate, relevance in zip(allocations, scored.relevance, strict=True)]
    return scored.compress(counts, step=step)


def score_together(
    engine: LoadedModel, questions: Sequence[CachedQuestion], *, step: Step = go_on
) -> CachedScores:
    """Read questions behind every cached segment. Raises as :func:`compress_together`."""
    batch = _ItemBatch(engine, questions)
    with phase_of_all([question.timer for question in questions], "route"), torch.inference_mode():
        for group in batch.groups(batch.items):
            longest = max(len(item.question.question_ids) for item in group)
            _score(engine, group, batch.state(group, reserve=longest))
            step()
    return CachedScores(engine, batch)


class CachedScores:
    """Scored questions, of one cached video or of many; see :class:`.pipeline.ScoredQuestions`."""

    def __init__(self, engine: LoadedModel, batch: _ItemBatch) -> None:
        self._engine, self._batch = engine, batch
        by_question = [items for _, items in batch.by_question()]
        self.spans = [item.span for item in by_question[0]]  # of the first question's video
        self.relevance = [[item.relevance for item in items] for items in by_question]

    def compress(
        self, counts: Sequence[Sequence[int]], *, step: Step = go_on
    ) -> list[list[CompressedSegment]]:
        """Compute the kept memory tokens. Raises as :func:`compress_together`."""
        engine, batch = self._engine, self._batch
        total = engine.model.compressor.memory_tokens
        timers = [question.timer for question in batch.questions]
        with phase_of_all(timers, "distil"), torch.inference_mode():
            for (question, items), kept in zip(batch.by_question(), counts, strict=True):
                for item, count in zip(items, kept, strict=True):
                    item.count = count
                    item.needed = tokens_needed(
                        count, total=total, keep=question.keep, segment=item.span.index
                    )
            # Items that need about as many tokens go together: what is computed beyond a need is lost.
            most_first = sorted(batch.items, key=lambda item: -item.needed)
            for group in batch.groups(most_first):
                _compress(engine, group, batch.state_behind(group, reserve=max(i.needed for i in group)))
                step()
        return [
            [CompressedSegment(i.span, i.relevance, i.memory_kD) for i in items if i.memory_kD is not None]
            for _, items in batch.by_question()
        ]


def _score(engine: LoadedModel, group: Sequence[_Item], state: PrefillState) -> None:
    relevance_S = engine.model.compressor.score_each(state, [item.question.question_ids for item in group])
    for at, (item, relevance) in enumerate(zip(group, finite(relevance_S, engine.dtype), strict=True)):
        length = len(item.question.question_ids)
        item.relevance, item.behind = relevance, state.cache.data[at, :, :, :, -length:].clone()


def _compress(engine: LoadedModel, group: Sequence[_Item], state: PrefillState) -> None:
    compressor = engine.model.compressor
    memory_SkD = compressor.compress(state, max(item.needed for item in group))
    for at, item in enumerate(group):
        item.memory_kD = select(
            memory_SkD[at, : item.needed],
            item.count,
            total=compressor.memory_tokens,
            keep=item.question.keep,
            segment=item.span.index,
        )
        item.behind = None


class _ItemBatch:
    """The items of some questions, and copies of their segments to read on from."""

    def __init__(self, engine: LoadedModel, questions: Sequence[CachedQuestion]) -> None:
        self.engine, self.questions = engine, questions
        self._of_question = [
            [_Item(question, entry, row) for entry in question.entries for row in range(len(entry.segments))]
            for question in questions
        ]
        self.items = [item for items in self._of_question for item in items]
        longest = max(len(question.question_ids) for question in questions)
        reserve = longest + engine.model.compressor.memory_tokens
        self.batch_size = min(
            engine.segments_per_batch(question.video, reserve=reserve, cached=True) for question in questions
        )
        # Flash attention knows no masks, and gaps need one.
        self._without_gaps = "flash" in engine.model.compressor.vlm.language_model.config._attn_implementation
        self._gathered, self._staging = ScratchBuffer(), ScratchBuffer()

    def by_question(self) -> Iterator[tuple[CachedQuestion, list[_Item]]]:
        """Each question with its items, in order of the video."""
        yield from zip(self.questions, self._of_question, strict=True)

    def groups(self, order: Sequence[_Item]) -> Iterator[list[_Item]]:
        """Items whose segments are about equally long, at most `batch_size` at a time, in the given order."""
        classes = _length_classes({item.length for item in order})
        alike: dict[object, list[_Item]] = {}
        for item in order:
            layout: object = classes[item.length]
            if self._without_gaps:
                layout = (item.entry.position, item.length, len(item.question.question_ids))
            alike.setdefault(layout, []).append(item)
        for members in alike.values():
            batches = -(-len(members) // self.batch_size)
            size = -(-len(members) // batches)  # about equally many in each, not a few in the last
            for start in range(0, len(members), size):
                yield members[start : start + size]

    def state(self, group: Sequence[_Item], *, reserve: int) -> PrefillState:
        """A copy of the items' segments, to read on from; it is overwritten by the next one.

        Raises:
            DamagedEntryError: a segment is not what was written.
        """
        return self._gather(group, [[] for _ in group], reserve)

    def state_behind(self, group: Sequence[_Item], *, reserve: int) -> PrefillState:
        """The same with each item's question behind its segment, all of them ending together."""
        return self._gather(group, [[item.behind] for item in group if item.behind is not None], reserve)

    def _gather(
        self, group: Sequence[_Item], behind: Sequence[list[torch.Tensor]], reserve: int
    ) -> PrefillState:
        """Copies of the segments, what is read `behind` each, and gaps between, so that all end together."""
        lengths = [sum(piece.shape[3] for piece in pieces) for pieces in behind]
        end = max(item.length for item in group) + max(lengths)
        gaps = [(item.length, end - length) for item, length in zip(group, lengths, strict=True)]

        def pieces() -> Iterator[list[torch.Tensor]]:
            for item, (start, stop), after in zip(group, gaps, behind, strict=True):
                row = item.entry.row(item.row, self._staging)
                # What stands in a gap counts for nothing, but it has to be finite.
                yield [row, row.new_zeros(1).expand(*row.shape[:3], stop - start, row.shape[4]), *after]

        device = self.engine.device
        cache = KVCache.gather(
            pieces(), segments=len(group), reserve=reserve, device=device, buffer=self._gathered
        )
        positions = [item.entry.position + length for item, length in zip(group, lengths, strict=True)]
        state = PrefillState(cache, max(positions))
        if any(start < stop for start, stop in gaps) or min(positions) < state.position:
            begin_S, end_S = torch.tensor(gaps, device=device).unbind(1)
            state.gaps = Gaps(begin_S, end_S, state.position - torch.tensor(positions, device=device))
        return state


def _length_classes(lengths: Collection[int]) -> dict[int, int]:
    """The shortest length that each goes together with."""
    classes: dict[int, int] = {}
    shortest = 0
    for length in sorted(lengths):
        if length > _MOST_PADDING * shortest:
            shortest = length
        classes[length] = shortest
    return classes
