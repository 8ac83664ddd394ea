"""A film, watched once, and each of its questions answered in every way.

A question is read behind the film once, and all memory tokens are written for it at once: they are causal,
so whatever a way keeps is among them, and is what `Session.ask` would have computed. What is left for each
way is to choose, and to let the decoder read.

Shapes: see :mod:`tempo.modeling`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from tempo.errors import TempoError
from tempo.inference.cache_entry import CacheEntry
from tempo.inference.engine import Tempo
from tempo.inference.generation import generate
from tempo.inference.pipeline import CompressedSegment, compress_cached, prefill_video
from tempo.inference.prefix_cache import MemoryCacheWriter
from tempo.inference.results import PhaseTimer
from tempo.inference.token_selection import select
from tempo.synthetic.answer_scoring import evidence_rank, is_correct
from tempo.video.video import Sampling, Video

from .variants import (
    NEUTRAL,
    Way,
    budget_of,
    kept_tokens,
)

# More than any right answer has: what has not ended by then is wrong however it goes on.
MAX_NEW_TOKENS = 96

# (question, answer) pairs of the same conversation, oldest first.
Earlier = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Told:
    """An answer, and how many memory tokens it was read from, of how many allowed."""

    text: str
    tokens: int
    cap: int


@dataclass(frozen=True)
class Film:
    """A film that a model has watched with its own sampling."""

    model: Tempo
    video: Video
    sampling: Sampling
    entries: Sequence[CacheEntry]

    @classmethod
    def watch(cls, model: Tempo, path: Path) -> Film:
        """Watch a file.

        Raises:
            TempoError: it cannot be read.
        """
        video, config = Video.open(path), model.config
        sampling = video.sample(fps=config.fps, max_frames=config.max_frames, min_frames=config.min_frames)
        writer = MemoryCacheWriter(model.device)
        for batch, state in prefill_video(model, video, sampling, timer=PhaseTimer(model.device)):
            writer.add(batch.segments, state)
        return cls(model, video, sampling, writer.finish(damage=video.damage))

    def compress(self, question: str, earlier: Earlier = ()) -> list[CompressedSegment]:
        """Relevance, and all M memory tokens, of every segment."""
        return compress_cached(
            self.model,
            self.video,
            self.entries,
            self.model.prompts.question(question, earlier=[asked for asked, _ in earlier]),
            allocate=lambda relevance: [self.model.config.num_compression_tokens] * len(relevance),
            keep="head",
            timer=PhaseTimer(self.model.device),
        )

    @cached_property
    def neutral(self) -> list[CompressedSegment]:
        """The same for NEUTRAL, which is no question."""
        return self.compress(NEUTRAL)


def ask(
    film: Film, question: str, ways: Sequence[Way], *, seed: str, earlier: Earlier = ()
) -> tuple[list[CompressedSegment], list[Told]]:
    """Answer a question in each of `ways`; those that come to the same storyline are answered once.

    Args:
        earlier: what was asked and answered before in the same conversation.
        seed: what shuffles are drawn from.

    Raises:
        TempoError: the model's context is too short for a way.
    """
    config = film.model.config
    k_max = config.num_compression_tokens
    compressed = film.compress(question, earlier)
    relevance = [one.relevance for one in compressed]
    answers: dict[object, str] = {}
    told = []
    for way in ways:
        cap = budget_of(way, len(relevance), k_max=k_max, own=config.visual_token_budget)
        counts = kept_tokens(way, relevance, budget=cap, k_min=config.min_tokens, k_max=k_max, seed=seed)
        same = (tuple(counts), way.keep, way.asked, way.timed)
        if same not in answers:
            chosen = compressed if way.asked else film.neutral
            answers[same] = _read(film, question, earlier, chosen, counts, way)
        told.append(Told(answers[same], sum(counts), cap))
    return compressed, told


def _read(
    film: Film,
    question: str,
    earlier: Earlier,
    compressed: Sequence[CompressedSegment],
    counts: Sequence[int],
    way: Way,
) -> str:
    """What the decoder says about the storyline that a way makes of the memory tokens."""
    model, total = film.model, film.model.config.num_compression_tokens
    before_ids, after_ids = model.prompts.decoder_prompt(question, earlier=earlier)
    with torch.inference_mode():
        segments = [
            (
                model.prompts.timestamp(one.span.timestamp) if way.timed else [],
                select(one.memory_kD, k, total=total, keep=way.keep, segment=one.span.index),
            )
            for one, k in zip(compressed, counts, strict=True)
        ]
        inputs_embeds_LU = model.model.decoder_inputs(before_ids, segments, after_ids)
    if len(inputs_embeds_LU) + MAX_NEW_TOKENS > model.config.context:
        raise TempoError(
            f"{film.video.path}: {way.name}: a storyline of {len(inputs_embeds_LU)} tokens and an answer is "
            f"more than the model's context of {model.config.context}; take shorter films"
        )
    ids = generate(model.model, inputs_embeds_LU, max_new_tokens=MAX_NEW_TOKENS, stop_ids=model.stop_ids)
    return model.prompts.decoder.decode(list(ids))


def answer_film(
    model: Tempo, truth_path: Path, ways: Sequence[Way], *, questions: int | None = None
) -> list[dict[str, Any]]:
    """A record of every question of a generated film, with its answers by name of way.

    Args:
        truth_path: the film's ground truth, beside it.
        questions: only the first so many.

    Raises:
        TempoError: the film cannot be read, or its storylines are too long for the model.
    """
    truth = json.loads(truth_path.read_text(encoding="utf-8"))
    film = Film.watch(model, truth_path.with_suffix(".mp4"))
    window = model.config.segment_frames / film.sampling.fps
    records = []
    for question in truth["questions"][:questions]:
        compressed, told = ask(
            film,
            question["text"],
            ways,
            seed=f"{truth['seed']}/{question['text']}",
            earlier=[(asked, said) for asked, said in question.get("earlier", ())],
        )
        spans = [(one.span.start, one.span.end) for one in compressed]
        rank = evidence_rank(question, spans, [one.relevance for one in compressed])
        records.append(
            {
                "video": truth["video"],
                "kind": question["kind"],
                "choice": bool(question["options"]),
                "question": question["text"],
                "truth": question["answer"],
                "segments": len(compressed),
                "rank": rank if question["evidence"] else None,
                "answers": {
                    way.name: {
                        "text": one.text,
                        "right": is_correct(question, one.text, window=window),
                        "tokens": one.tokens,
                        "cap": one.cap,
                    }
                    for way, one in zip(ways, told, strict=True)
                },
            }
        )
    return records
