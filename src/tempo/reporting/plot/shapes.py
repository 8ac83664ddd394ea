"""Shapes, and drawings of them. Lengths are pixels from the upper left corner, colours are ``#rrggbb``."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Literal

import numpy as np

Anchor = Literal["start", "middle", "end"]

NARROW, WIDE = 0.56, 1.0  # mean width of a character, as a share of the text's size


@dataclass(frozen=True)
class Rectangle:
    """A filled rectangle; without `fill` it is invisible. `hint` is its tooltip."""

    x: float
    y: float
    width: float
    height: float
    fill: str | None
    hint: str = ""


@dataclass(frozen=True)
class LineSegment:
    """A straight line."""

    x1: float
    y1: float
    x2: float
    y2: float
    colour: str
    width: float = 1.0


@dataclass(frozen=True)
class Label:
    """One line of text; `y` is its baseline."""

    x: float
    y: float
    text: str
    size: int
    colour: str
    anchor: Anchor = "start"
    bold: bool = False


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture, uint8 [H, W, 3] in RGB, stretched over a rectangle; `hint` as in :class:`Rectangle`."""

    x: float
    y: float
    width: float
    height: float
    pixels: np.ndarray
    hint: str = ""


Shape = Rectangle | LineSegment | Label | Picture


@dataclass(frozen=True)
class Drawing:
    """Shapes on a white background, later ones in front. `title` is its description in words."""

    width: int
    height: int
    title: str
    shapes: tuple[Shape, ...]


def text_width(text: str, size: int) -> float:
    """About how wide TEXT is in a common sans-serif font, in pixels; rather too much than too little."""
    return size * sum(WIDE if unicodedata.east_asian_width(c) in "WF" else NARROW for c in text)


def wrap(text: str, *, size: int, width: float, lines: int) -> list[str]:
    """Break TEXT into at most LINES lines of WIDTH pixels; what does not fit ends in an ellipsis."""
    broken: list[str] = []
    rest = " ".join(text.split())
    while rest:
        fits = len(rest)
        while fits > 1 and text_width(rest[:fits], size) > width:
            fits -= 1
        if fits == len(rest):
            return [*broken, rest]
        if len(broken) == lines - 1:
            return [*broken, rest[: fits - 1].rstrip() + "…"]
        # Between words, unless that would leave a line less than half full, as in a text without blanks.
        blank = rest.rfind(" ", 0, fits + 1)
        cut = blank if blank > fits // 2 else fits
        broken.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return broken
