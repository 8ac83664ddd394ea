"""Answers each question about a video in every variant, watching the video once.

A question is scored once, and compressed to all memory tokens at once: they are causal, so whatever a variant
keeps is among them, and is what `Session.ask` would have computed. Each variant only selects tokens and runs
the decoder.

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
from tempo.inference.generation import DecodeOptions, generate
from tempo.inference.phase_timer import PhaseTimer
from tempo.inference.pipeline import CompressedSegment, prefill_video
from tempo.inference.prefix_cache import MemoryCacheWriter
from tempo.inference.question_batch import CachedQuestion, score_together
from tempo.inference.token_selection import select
from tempo.synthetic.answer_scoring import evidence_rank, is_correct
from tempo.video.video import Sampling, Video

from .variants import (
    NEUTRAL,
    Variant,
    budget_of,
    kept_tokens,
)

# More than any right answer has: what has not ended by then is wrong however it goes on.
MAX_NEW_TOKENS = 96

# (question, answer) pairs of the same conversation, oldest first.
Earlier = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class VariantAnswer:
    """The answer of one variant, the number of memory tokens behind it, and the most that were allowed."""

    text: str
    tokens: int
    cap: int


@dataclass(frozen=True)
class WatchedVideo:
    """A video that a model has watched with its own sampling, cached in memory."""

    model: Tempo
    video: Video
    sampling: Sampling
    entries: Sequence[CacheEntry]

    @classmethod
    def watch(cls, model: Tempo, path: Path) -> WatchedVideo:
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
        cached = CachedQuestion(
            self.video,
            self.entries,
            self.model.prompts.question(question, earlier=[asked for asked, _ in earlier]),
            keep="head",
            timer=PhaseTimer(self.model.device),
        )
        scored = score_together(self.model, [cached])
        return scored.compress([[self.model.config.num_compression_tokens] * len(scored.spans)])[0]

    @cached_property
    def neutral(self) -> list[CompressedSegment]:
        """The same for NEUTRAL instead of a question."""
        return self.compress(NEUTRAL)


def ask(
    watched: WatchedVideo, question: str, variants: Sequence[Variant], *, seed: str, earlier: Earlier = ()
) -> tuple[list[CompressedSegment], list[VariantAnswer]]:
    """Answer a question in each of `variants`; equal storylines are decoded once.

    Args:
        earlier: what was asked and answered before in the same conversation.
        seed: what shuffles are drawn from.

    Raises:
        TempoError: the model's context is too short for a variant.
    """
    config = watched.model.config
    k_max = config.num_compression_tokens
    compressed = watched.compress(question, earlier)
    relevance = [one.relevance for one in compressed]
    texts: dict[object, str] = {}
    answers = []
    for variant in variants:
        cap = budget_of(variant, len(relevance), k_max=k_max, own=config.visual_token_budget)
        counts = kept_tokens(variant, relevance, budget=cap, k_min=config.min_tokens, k_max=k_max, seed=seed)
        same = (tuple(counts), variant.keep, variant.asked, variant.timed)
        if same not in texts:
            chosen = compressed if variant.asked else watched.neutral
            texts[same] = _decode(watched, question, earlier, chosen, counts, variant)
        answers.append(VariantAnswer(texts[same], sum(counts), cap))
    return compressed, answers


def _decode(
    watched: WatchedVideo,
    question: str,
    earlier: Earlier,
    compressed: Sequence[CompressedSegment],
    counts: Sequence[int],
    variant: Variant,
) -> str:
    """The decoder's answer to the storyline that a variant makes of the memory tokens."""
    model, total = watched.model, watched.model.config.num_compression_tokens
    before_ids, after_ids = model.prompts.decoder_prompt(question, earlier=earlier)
    with torch.inference_mode():
        segments = [
            (
                model.prompts.timestamp(one.span.timestamp) if variant.timed else [],
                select(one.memory_kD, k, total=total, keep=variant.keep, segment=one.span.index),
            )
            for one, k in zip(compressed, counts, strict=True)
        ]
        inputs_embeds_LU = model.model.decoder_inputs(before_ids, segments, after_ids)
    if len(inputs_embeds_LU) + MAX_NEW_TOKENS > model.config.context:
        raise TempoError(
            f"{watched.video.path}: {variant.name}: {len(inputs_embeds_LU)} tokens and an answer "
            f"are more than the model's context of {model.config.context}; take shorter videos"
        )
    ids = generate(
        model.model, inputs_embeds_LU, DecodeOptions(max_new_tokens=MAX_NEW_TOKENS, stop_ids=model.stop_ids)
    )
    return model.prompts.decoder.decode(list(ids))


def answer_questions(
    model: Tempo, truth_path: Path, variants: Sequence[Variant], *, questions: int | None = None
) -> list[dict[str, Any]]:
    """Answer the questions of a synthetic video; return a record of each, with its answers by variant.

    Args:
        truth_path: the ground truth beside the video.
        questions: only the first so many.

    Raises:
        TempoError: the video cannot be read, or its storylines are too long for the model.
    """
    truth = json.loads(truth_path.read_text(encoding="utf-8"))
    watched = WatchedVideo.watch(model, truth_path.with_suffix(".mp4"))
    window = model.config.segment_frames / watched.sampling.fps
    records = []
    for question in truth["questions"][:questions]:
        compressed, answers = ask(
            watched,
            question["text"],
            variants,
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
                    variant.name: {
                        "text": one.text,
                        "right": is_correct(question, one.text, window=window),
                        "tokens": one.tokens,
                        "cap": one.cap,
                    }
                    for variant, one in zip(variants, answers, strict=True)
                },
            }
        )
    return records
