"""Lays out the plot of an answer: the charts of relevance and tokens, and the thumbnails above them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tempo.formatting import clock, clock_span, printable
from tempo.moments import (
    COUNT,
    Routed,
    nothing_stands_out,
    strongest,
)

from .figure import Figure
from .shapes import (
    Label,
    LineSegment,
    Picture,
    Rectangle,
    Shape,
    wrap,
)
from .thumbnails import HEIGHT, Thumbnail

WIDTH = 960
LEFT, RIGHT = 64, WIDTH - 24  # of the charts
INK, SOFT, RULE = "#1f2933", "#5f6b76", "#d5dce3"
# Blue and vermilion of Okabe and Ito's palette, which the colour-blind can tell apart; the strong are darker.
PLAIN, STRONG, TOKENS, STRONG_TOKENS = "#9cc3de", "#0072b2", "#efc0a0", "#d55e00"
RELEVANCE_HEIGHT, TOKENS_HEIGHT = 110, 90
GAP = 10  # between thumbnails, and between other things
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)  # seconds between ticks
TICKS = 9  # on the axis of time, at most


def draw(
    segments: Sequence[Routed],
    *,
    question: str = "",
    answer: str = "",
    caption: str = "",
    pictures: Sequence[Thumbnail] = (),
    floor: float = 0.0,
    count: int = COUNT,
) -> Figure:
    """Draw relevance and tokens over time.

    Args:
        segments: at least one, in the order of time.
        question: a line above everything; empty: left out.
        answer: the line below it, likewise.
        caption: a line at the bottom, likewise.
        pictures: frames shown above the charts, in the order of time.
        floor: the relevance that a moment must have to stand out.
        count: moments that stand out, at most.
    """
    shapes: list[Shape] = []
    y = 14.0
    for text, size, colour, bold, lines in (
        (question, 15, SOFT, False, 2),
        (answer, 18, INK, True, 3),
    ):
        for line in wrap(printable(text), size=size, width=RIGHT - 24, lines=lines):
            y += size + 6
            shapes.append(Label(24, y, line, size, colour, bold=bold))
    y += 16 if pictures else 36  # of which the chart's name takes 20
    across = _Axis(segments[0].start, segments[-1].end)
    if pictures:
        shapes += _pictures(pictures, segments, across, y)
        y += HEIGHT + 32
    top = y
    strong = {
        index
        for moment in strongest(segments, count, floor=floor)
        for index in range(moment.first, moment.last + 1)
    }
    relevance = [segment.relevance for segment in segments]
    tokens = [float(segment.tokens) for segment in segments]
    shapes += _chart("relevance", segments, relevance, 1.0, across, y, RELEVANCE_HEIGHT, strong)
    y += RELEVANCE_HEIGHT + 40
    shapes += _chart("tokens", segments, tokens, max(1.0, *tokens), across, y, TOKENS_HEIGHT, strong)
    y += TOKENS_HEIGHT
    shapes += _times(across, y)
    shapes += [
        Rectangle(x, top, width, y - top, None, hint=hint(segment))
        for segment, (x, width) in zip(segments, map(across.span, segments), strict=True)
    ]
    y += 40
    if caption:
        (line,) = wrap(printable(caption), size=12, width=RIGHT - 24, lines=1)
        shapes.append(Label(24, y + 6, line, 12, SOFT))
        y += 14
    title = f"Relevance and tokens over {clock(segments[-1].end)}; {_strongest(segments, strong)}"
    return Figure(WIDTH, math.ceil(y + 10), title, tuple(shapes))


def _strongest(segments: Sequence[Routed], strong: set[int]) -> str:
    if not strong:
        return nothing_stands_out(segments)
    best = max(segments, key=lambda segment: segment.relevance)
    return f"strongest from {clock(best.start)} to {clock(best.end)}"


def hint(segment: Routed) -> str:
    """One line about a segment."""
    tokens = "1 token" if segment.tokens == 1 else f"{segment.tokens} tokens"
    return f"{clock_span(segment.start, segment.end)} · relevance {segment.relevance:.2f} · {tokens}"


class _Axis:
    """Time from left to right, in seconds."""

    def __init__(self, start: float, end: float) -> None:
        # A still image lasts no time at all.
        self.start, self.end = start, end if end > start else start + 1.0

    def x(self, seconds: float) -> float:
        return LEFT + (RIGHT - LEFT) * (seconds - self.start) / (self.end - self.start)

    def span(self, segment: Routed) -> tuple[float, float]:
        """Left edge and width of a segment."""
        left = self.x(segment.start)
        return left, (self.x(segment.end) if segment.end > segment.start else RIGHT) - left

    def ticks(self) -> list[float]:
        step = next((s for s in STEPS if (self.end - self.start) / s <= TICKS), STEPS[-1])
        while (self.end - self.start) / step > TICKS:
            step *= 2
        first = math.ceil(self.start / step)
        return [step * i for i in range(first, math.floor(self.end / step) + 1)]


def _chart(
    name: str,
    segments: Sequence[Routed],
    values: Sequence[float],
    most: float,
    across: _Axis,
    top: float,
    height: float,
    strong: set[int],
) -> list[Shape]:
    """One column a segment, as high as its value; the strongest moments stand out."""
    plain, marked = (PLAIN, STRONG) if name == "relevance" else (TOKENS, STRONG_TOKENS)
    base = top + height
    shapes: list[Shape] = [Label(LEFT, top - 8, name, 12, SOFT, bold=True)]
    for share in (0.5, 1.0):
        y = base - height * share
        value = most * share
        written = f"{value:.1f}" if most <= 1 else f"{value:.0f}" if value == int(value) else ""
        shapes.append(LineSegment(LEFT, y, RIGHT, y, RULE))
        shapes.append(Label(LEFT - 8, y + 4, written, 11, SOFT, "end"))
    shapes.append(Label(LEFT - 8, base + 4, "0", 11, SOFT, "end"))
    for index, (segment, value) in enumerate(zip(segments, values, strict=True)):
        x, width = across.span(segment)
        # Columns stand a little apart as long as they are wide enough to be told apart.
        apart = 1.0 if width >= 4 else 0.0
        tall = height * value / most
        shapes.append(Rectangle(x, base - tall, width - apart, tall, marked if index in strong else plain))
    shapes.append(LineSegment(LEFT, base, RIGHT, base, SOFT))
    return shapes


def _times(across: _Axis, y: float) -> list[Shape]:
    shapes: list[Shape] = []
    for seconds in across.ticks():
        x = across.x(seconds)
        shapes.append(LineSegment(x, y, x, y + 5, SOFT))
        shapes.append(Label(x, y + 20, clock(seconds), 11, SOFT, "middle"))
    return shapes


def _pictures(
    pictures: Sequence[Thumbnail], segments: Sequence[Routed], across: _Axis, top: float
) -> list[Shape]:
    """A row of pictures, each as near above its moment as the others allow, and a line down to it."""
    sizes = [HEIGHT * picture.pixels.shape[1] / picture.pixels.shape[0] for picture in pictures]
    scale = min(1.0, (RIGHT - LEFT - GAP * (len(pictures) - 1)) / sum(sizes))
    widths, height = [width * scale for width in sizes], HEIGHT * scale
    centres = []
    for picture in pictures:
        left, width = across.span(segments[picture.index])
        centres.append(left + width / 2)
    shapes: list[Shape] = []
    for picture, x, width, centre in zip(pictures, beside(centres, widths), widths, centres, strict=True):
        y = top + HEIGHT - height
        shapes.append(LineSegment(x + width / 2, top + HEIGHT, centre, top + HEIGHT + 32, STRONG))
        shapes.append(Picture(x, y, width, height, picture.pixels, hint(segments[picture.index])))
        shapes.append(Rectangle(x, y + height - 16, 46 if picture.time >= 3600 else 36, 16, INK))
        shapes.append(Label(x + 4, y + height - 4, clock(picture.time), 11, "#ffffff"))
    return shapes


def beside(centres: Sequence[float], widths: Sequence[float]) -> list[float]:
    """Left edges of things of WIDTHS, in order and without overlap, near CENTRES and within the charts."""
    lefts: list[float] = []
    free = float(LEFT)
    for centre, width in zip(centres, widths, strict=True):
        lefts.append(max(centre - width / 2, free))
        free = lefts[-1] + width + GAP
    free = float(RIGHT)
    for i in reversed(range(len(lefts))):
        lefts[i] = min(lefts[i], free - widths[i])
        free = lefts[i] - GAP
    return lefts
