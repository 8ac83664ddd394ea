"""The strongest moments of a video: segments that follow one another and matter for the question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

STANDS_OUT = 0.5  # of the strongest segment's relevance: what is at least this is a moment too
ALIKE = 0.95  # of a moment's relevance: a segment of at least this is as strong as its strongest
COUNT = 5  # moments that are listed, unless another number is asked for


class Routed(Protocol):
    """What is looked at of a segment: seconds, relevance in (0, 1), memory tokens kept."""

    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...
    @property
    def relevance(self) -> float: ...
    @property
    def tokens(self) -> int: ...


@dataclass(frozen=True)
class Moment:
    """Segments `first` to `last`, with no gap between them.

    Attributes:
        start, end: seconds.
        peak: index of its most relevant segment.
        relevance: of that segment.
        tokens: memory tokens of all its segments.
    """

    first: int
    last: int
    start: float
    end: float
    peak: int
    relevance: float
    tokens: int


def strongest(
    segments: Sequence[Routed], count: int = COUNT, *, floor: float = 0.0, at_least: float | None = None
) -> list[Moment]:
    """Return at most COUNT stretches, the most relevant first, then the earlier: the moments of a video.

    This is the one definition of a moment; whatever lists, marks or draws moments calls it.

    Args:
        floor: the relevance that a segment must have to belong to one, however weak the others are: the
            model's `relevance_floor`.
        at_least: the relevance from which on a segment belongs to one, in place of the floor and of half of
            the strongest segment's.
    """
    if at_least is None:
        at_least = max(floor, STANDS_OUT * max(segment.relevance for segment in segments))
    found: list[Moment] = []
    run: list[int] = []
    for index, segment in enumerate(segments):
        if segment.relevance >= at_least:
            run.append(index)
        elif run:
            found.append(_stretch(segments, run))
            run = []
    if run:
        found.append(_stretch(segments, run))
    return sorted(found, key=lambda stretch: (-stretch.relevance, stretch.start))[:count]


def frame_time(moment: Moment, segments: Sequence[Routed]) -> float:
    """When the frame is taken that stands for a moment, in seconds: in the middle of where it is strongest.

    Segments next to the most relevant one that are about as relevant belong to that: what begins within one
    of them is often seen only in the next.
    """
    first = last = moment.peak
    while first > moment.first and segments[first - 1].relevance >= ALIKE * moment.relevance:
        first -= 1
    while last < moment.last and segments[last + 1].relevance >= ALIKE * moment.relevance:
        last += 1
    return (segments[first].start + segments[last].end) / 2


def nothing_stands_out(segments: Sequence[Routed]) -> str:
    """What to say where there is no moment."""
    return f"nothing stands out (best {max(segment.relevance for segment in segments):.2f})"


def _stretch(segments: Sequence[Routed], run: Sequence[int]) -> Moment:
    peak = max(run, key=lambda index: segments[index].relevance)
    return Moment(
        first=run[0],
        last=run[-1],
        start=segments[run[0]].start,
        end=segments[run[-1]].end,
        peak=peak,
        relevance=segments[peak].relevance,
        tokens=sum(segments[index].tokens for index in run),
    )
