"""What a case of the corpus is: a recording, and the truth about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .shapes import Shape, Shown

Build = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """A recording and what is right of it.

    Attributes:
        name: unique; the file's name, too.
        build: writes the file to the path it is given.
        shown: which picture appears when.
        ends: (earliest, latest) second that may be called the end.
        interval: seconds between two pictures where they follow closest.
        size: (width, height) of the upright picture in square pixels.
        may_lose: pictures may be missing, if damage accounts for them.
        within: seconds by which the container's clock may be off.
    """

    name: str
    build: Build
    shown: Shown
    ends: tuple[float, float]
    interval: float
    size: tuple[int, int] = (160, 96)
    may_lose: bool = False
    within: float = 1.5e-3

    @property
    def suffix(self) -> str:
        return self.name.rpartition(".")[2]


def case(
    name: str,
    build: Build,
    shape: Shape | None = None,
    *,
    shown: Shown | None = None,
    end: float | tuple[float, float] | None = None,
    interval: float | None = None,
    **rest: object,
) -> Case:
    """A case that shows the pictures of `shape`, unless `shown` says what else it does.

    Where `end` is one number, it may be missed by a little more than half a picture.
    """
    if shape is not None:
        shown = shape.shown if shown is None else shown
        interval = float(shape.base) if interval is None else interval
        end = shape.end if end is None else end
    assert shown is not None
    assert interval is not None
    assert end is not None
    ends = end if isinstance(end, tuple) else (end - 0.6 * interval, end + 0.6 * interval)
    return Case(name, build, shown, ends, interval, **rest)  # type: ignore[arg-type]
