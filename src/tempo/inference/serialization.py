"""Segments and moments as JSON values: the one form in which every verb, file and page writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tempo.moments import Moment, Routed

SEGMENT_KEYS = ("start", "end", "timestamp", "relevance", "tokens")


def segment_values(segment: Routed) -> dict[str, Any]:
    """Return a SEGMENT as JSON values: times in seconds, relevance in (0, 1)."""
    return {key: getattr(segment, key) for key in SEGMENT_KEYS}


def moment_values(moment: Moment, segments: Sequence[Routed]) -> dict[str, Any]:
    """Return a MOMENT of SEGMENTS as JSON values; `peak` is the middle of its most relevant segment."""
    best = segments[moment.peak]
    return {
        "start": moment.start,
        "end": moment.end,
        "relevance": moment.relevance,
        "peak": (best.start + best.end) / 2,
    }
