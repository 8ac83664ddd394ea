"""An answer as JSON values: the one form in which every verb, file and page writes it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .moments import Moment, Routed
    from .results import Answer

SEGMENT_KEYS = ("start", "end", "timestamp", "relevance", "tokens")


def record(answer: Answer) -> dict[str, Any]:
    """Return ANSWER as JSON values: times in seconds, relevance in (0, 1), memory in bytes."""
    return {
        "answer": answer.text,
        "answer_display": answer.display,
        "token_ids": answer.token_ids,
        "finished": answer.finished,
        "model": answer.model,
        "video": dataclasses.asdict(answer.video),
        "segments": [{key: getattr(segment, key) for key in SEGMENT_KEYS} for segment in answer.segments],
        "moments": [moment_values(moment, answer.segments) for moment in answer.moments],
        "budget": answer.budget,
        "visual_tokens": answer.usage.visual_tokens,
        "prompt_tokens": answer.usage.prompt_tokens,
        "answer_tokens": answer.usage.answer_tokens,
        "timings": answer.usage.timings,
        "peak_memory_bytes": answer.usage.peak_memory_bytes,
        "warnings": list(answer.warnings),
    }


def moment_values(moment: Moment, segments: Sequence[Routed]) -> dict[str, Any]:
    """Return a MOMENT of SEGMENTS as JSON values; `peak` is the middle of its most relevant segment."""
    best = segments[moment.peak]
    return {
        "start": moment.start,
        "end": moment.end,
        "relevance": moment.relevance,
        "peak": (best.start + best.end) / 2,
    }
