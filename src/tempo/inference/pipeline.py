"""Watch, route, distil: the compressor over a whole video, in batches.

Two ways with equal results. A kept video has its question-free part in a cache: `distil_kept` reads the
question's words behind every segment, allocates, and computes only the memory tokens that are kept.
`distil_once` keeps nothing: batch by batch it goes all the way, with every memory token, and leaves out
afterwards what is not kept.

Legend: S segments, M memory tokens of a segment, k kept ones, D the compressor's width, Q tokens of the
question.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from tempo.errors import NoNumbersError
from tempo.modeling.compressor import Compressor, Reading
from tempo.modeling.qwen3_vl import KeyValues, Space
from tempo.processing.batching import Batch, Moment, batches
from tempo.video.video import Sampling, Video

from .allocation import Keep, select, tokens_needed
from .cache_entry import Kept
from .loaded_model import LoadedModel
from .results import Clock

Progress = Callable[[int, int], None]
"""Called with (frames watched so far, frames to watch)."""

Allocate = Callable[[list[float]], list[int]]
"""Relevance of every segment → how many memory tokens each keeps."""


@dataclass(frozen=True)
class Distilled:
    """One segment as the decoder will read it."""

    moment: Moment
    relevance: float
    memory_kD: torch.Tensor


@dataclass(frozen=True)
class _Row:
    """One segment of a kept video."""

    kept: Kept
    index: int

    @property
    def moment(self) -> Moment:
        return self.kept.moments[self.index]

    @property
    def layout(self) -> tuple[int, torch.Size]:
        """Rows of equal layout can be read on together."""
        return self.kept.position, self.kept.row_shape


def watch(
    engine: LoadedModel,
    video: Video,
    sampling: Sampling,
    *,
    clock: Clock,
    progress: Progress | None = None,
    room: int = 0,
) -> Iterator[tuple[Batch, Reading]]:
    """Read a video in batches of segments, up to where a question will stand.

    Args:
        room: for how many tokens each reading has to have space.
    """
    compressor, device = engine.model.compressor, engine.device
    coming = batches(
        video,
        sampling,
        prompts=engine.prompts,
        geometry=engine.geometry,
        segment_frames=engine.config.segment_frames,
        together=engine.segments_together(video, room=room),
    )
    done = 0
    try:
        while True:
            with clock.phase("decode"):
                batch = next(coming, None)
            if batch is None:
                break
            with clock.phase("watch"), torch.inference_mode():
                pixels_SPC = batch.pixels_SPC.to(device, engine.dtype)
                reading = compressor.watch(
                    pixels_SPC, batch.grid, batch.ids_SL.to(device), batch.spans, room=room
                )
            done += batch.frames
            if progress is not None:
                progress(done, len(sampling))
            yield batch, reading
        if progress is not None and done < len(sampling):  # some could not be decoded
            progress(len(sampling), len(sampling))
    finally:
        coming.close()  # type: ignore[attr-defined]


def distil_kept(
    engine: LoadedModel,
    video: Video,
    kept: Sequence[Kept],
    question_ids: Sequence[int],
    *,
    allocate: Allocate,
    keep: Keep,
    clock: Clock,
) -> list[Distilled]:
    """Read a question behind every kept segment, and compute the memory tokens that each one keeps.

    Raises:
        DamagedEntryError: what is kept on disk is not what was written.
    """
    compressor, device = engine.model.compressor, engine.device
    total = compressor.memory_tokens
    together = engine.segments_together(video, room=len(question_ids) + total, kept=True)
    space, staging = Space(), Space()
    rows = [_Row(entry, index) for entry in kept for index in range(len(entry.moments))]
    relevance = [0.0] * len(rows)
    question: list[torch.Tensor | None] = [None] * len(
        rows
    )  # its keys and values [K, 2, H, Q, E] behind each
    with clock.phase("route"), torch.inference_mode():
        for group in _groups(rows, range(len(rows)), together):
            reading = _reading(
                rows, group, room=len(question_ids), device=device, space=space, staging=staging
            )
            relevance_S = _route(compressor, reading, question_ids)
            own = reading.past.data[:, :, :, :, -len(question_ids) :].clone()
            for at, row in enumerate(group):
                relevance[row], question[row] = relevance_S[at], own[at]
    with clock.phase("distil"), torch.inference_mode():
        counts = allocate(relevance)
        needed = [
            tokens_needed(k, total=total, keep=keep, segment=row.moment.index)
            for row, k in zip(rows, counts, strict=True)
        ]
        memory: list[torch.Tensor | None] = [None] * len(rows)
        # Segments that need about as many tokens go together: what is computed beyond a segment's need is
        # lost.
        for group in _groups(rows, sorted(range(len(rows)), key=lambda row: -needed[row]), together):
            count = max(needed[row] for row in group)
            reading = _reading(
                rows, group, room=count, device=device, space=space, staging=staging, behind=question
            )
            memory_SkD = compressor.distil(reading, count)
            for at, row in enumerate(group):
                k, index = counts[row], rows[row].moment.index
                memory[row] = select(memory_SkD[at, : needed[row]], k, total=total, keep=keep, segment=index)
    return [
        Distilled(row.moment, score, tokens)
        for row, score, tokens in zip(rows, relevance, memory, strict=True)
        if tokens is not None
    ]


def distil_once(
    engine: LoadedModel,
    video: Video,
    sampling: Sampling,
    question_ids: Sequence[int],
    *,
    allocate: Allocate,
    keep: Keep,
    clock: Clock,
    progress: Progress | None = None,
) -> list[Distilled]:
    """Watch a video for one question and keep nothing but its memory tokens."""
    compressor = engine.model.compressor
    total = compressor.memory_tokens
    moments: list[Moment] = []
    relevance: list[float] = []
    memory: list[torch.Tensor] = []
    room = len(question_ids) + total
    for batch, reading in watch(engine, video, sampling, clock=clock, progress=progress, room=room):
        moments += batch.moments
        with clock.phase("route"), torch.inference_mode():
            relevance += _route(compressor, reading, question_ids)
        with clock.phase("distil"), torch.inference_mode():
            memory += compressor.distil(reading, total)
    with clock.phase("distil"), torch.inference_mode():
        return [
            Distilled(moment, score, select(tokens, k, total=total, keep=keep, segment=moment.index))
            for moment, score, tokens, k in zip(moments, relevance, memory, allocate(relevance), strict=True)
        ]


def _route(compressor: Compressor, reading: Reading, question_ids: Sequence[int]) -> list[float]:
    """The relevance of every segment. Raises NoNumbersError where it is none."""
    relevance_S = compressor.route(reading, question_ids).tolist()
    if not all(map(math.isfinite, relevance_S)):
        raise NoNumbersError.in_dtype(reading.past.data.dtype)
    return relevance_S


def _groups(rows: Sequence[_Row], order: Sequence[int], size: int) -> Iterator[list[int]]:
    """Indices of rows with equal layout, at most `size` at a time, in the given order."""
    layouts: dict[object, list[int]] = {}
    for row in order:
        layouts.setdefault(rows[row].layout, []).append(row)
    for members in layouts.values():
        for start in range(0, len(members), size):
            yield members[start : start + size]


def _reading(
    rows: Sequence[_Row],
    group: Sequence[int],
    *,
    room: int,
    device: torch.device,
    space: Space,
    staging: Space,
    behind: Sequence[torch.Tensor | None] = (),
) -> Reading:
    """A copy of some rows, and what was read behind them, to read on from.

    Args:
        space: for the copy.
        staging: for one row at a time, where it is read from a file.

    Raises:
        DamagedEntryError: a row is not what was written.
    """

    def pieces() -> Iterator[list[torch.Tensor]]:
        for row in group:
            own = rows[row].kept.row(rows[row].index, staging)
            more = behind[row] if behind else None
            yield [own] if more is None else [own, more]

    past = KeyValues.gather(pieces(), segments=len(group), room=room, device=device, space=space)
    first = rows[group[0]].kept
    return Reading(past, first.position + past.length - first.row_shape[3])
