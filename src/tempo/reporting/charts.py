"""Bar charts for reports: grouped bars with confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tempo.reporting.plot.figure import Figure
from tempo.reporting.plot.shapes import (
    Label,
    LineSegment,
    Rectangle,
    Shape,
    text_width,
)

COLOURS = ("#1f6feb", "#e36209", "#2da44e", "#8250df", "#bf3989", "#9a6700")
PUBLISHED = "#8c959f"
INK, FAINT, GRID = "#1f2933", "#57606a", "#d5dce3"

WIDTH = 720
LEFT, RIGHT, TOP, BOTTOM = 46, 16, 44, 46
PLOT_HEIGHT = 190
LEGEND_ROW = 18
WHISKER = 4  # pixels to each side


@dataclass(frozen=True)
class BarValue:
    """A bar: its value, and the half-width of its interval. A value of NaN leaves the bar out."""

    value: float
    margin: float = math.nan
    hint: str = ""


@dataclass(frozen=True)
class Series:
    """Bars of one colour, one for each group of the chart."""

    name: str
    bars: list[BarValue]
    colour: str


def bar_chart(title: str, groups: Sequence[str], series: Sequence[Series], *, unit: str = "%") -> Figure:
    """A chart of grouped bars: a group for each of `groups`, in it a bar of every series."""
    values = [bar.value for one in series for bar in one.bars if not math.isnan(bar.value)]
    top = 100.0 if unit == "%" else _above(max(values, default=1.0))
    legend = _legend(series)
    height = TOP + PLOT_HEIGHT + BOTTOM + legend[1]
    shapes: list[Shape] = [Label(LEFT, 22, title, 15, INK, bold=True)]
    shapes += _scale(top, unit)
    group_width = (WIDTH - LEFT - RIGHT) / max(1, len(groups))
    wide = min(46.0, group_width * 0.8 / max(1, len(series)))
    for place, group in enumerate(groups):
        centre = LEFT + group_width * (place + 0.5)
        for number, one in enumerate(series):
            x = centre + (number - len(series) / 2) * wide
            shapes += _bar(one.bars[place], one, x, wide, top, unit)
        shapes += _group_name(group, centre, group_width)
    shapes += legend[0]
    return Figure(WIDTH, height, title, tuple(shapes))


def _bar(bar: BarValue, series: Series, x: float, wide: float, top: float, unit: str) -> list[Shape]:
    if math.isnan(bar.value):
        return []
    height = PLOT_HEIGHT * min(bar.value, top) / top
    base = TOP + PLOT_HEIGHT
    hint = bar.hint or f"{series.name}: {_text(bar.value, unit)}"
    shapes: list[Shape] = [Rectangle(x + 1, base - height, wide - 2, max(height, 0.5), series.colour, hint)]
    label = base - height - 4
    if not math.isnan(bar.margin):
        high = base - PLOT_HEIGHT * min(bar.value + bar.margin, top) / top
        low = base - PLOT_HEIGHT * max(bar.value - bar.margin, 0) / top
        middle = x + wide / 2
        shapes.append(LineSegment(middle, high, middle, low, INK))
        shapes += [LineSegment(middle - WHISKER, y, middle + WHISKER, y, INK) for y in (high, low)]
        label = high - 4
    shapes.append(Label(x + wide / 2, max(label, TOP - 4), _text(bar.value, unit), 10, INK, "middle"))
    return shapes


def _scale(top: float, unit: str) -> list[Shape]:
    shapes: list[Shape] = []
    for step in range(5):
        value = top * step / 4
        y = TOP + PLOT_HEIGHT * (1 - step / 4)
        shapes.append(LineSegment(LEFT, y, WIDTH - RIGHT, y, INK if step == 0 else GRID))
        shapes.append(Label(LEFT - 6, y + 4, _text(value, unit), 11, FAINT, "end"))
    return shapes


def _group_name(name: str, centre: float, width: float) -> list[Shape]:
    """In up to two lines."""
    words, lines = name.split(), [""]
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, 11) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    y = TOP + PLOT_HEIGHT + 16
    return [Label(centre, y + 13 * row, line, 11, INK, "middle") for row, line in enumerate(lines[:2])]


def _legend(series: Sequence[Series]) -> tuple[list[Shape], int]:
    """The names of the series with their colours, and how high that is."""
    shapes: list[Shape] = []
    x, y = float(LEFT), float(TOP + PLOT_HEIGHT + BOTTOM)
    rows = 1
    for one in series:
        wide = 16 + text_width(one.name, 11) + 18
        if x + wide > WIDTH - RIGHT and x > LEFT:
            x, y, rows = float(LEFT), y + LEGEND_ROW, rows + 1
        shapes += [Rectangle(x, y - 9, 10, 10, one.colour), Label(x + 15, y, one.name, 11, INK)]
        x += wide
    return shapes, rows * LEGEND_ROW


def _above(value: float) -> float:
    """A round number that is no less than a value."""
    step = 10 ** math.floor(math.log10(max(value, 1e-6)))
    return next(step * factor for factor in (1, 2, 4, 8, 10) if step * factor >= value)


def _text(value: float, unit: str) -> str:
    return f"{value:.0f}" if unit == "%" and value in (0, 25, 50, 75, 100) else f"{value:.3g}"
