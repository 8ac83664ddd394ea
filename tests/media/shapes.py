"""Shapes of time: when each picture of a recording is on screen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

Shown = tuple[tuple[float, int], ...]
"""(seconds from what a player shows as 0, index of the picture that appears then), ascending."""


@dataclass(frozen=True)
class Shape:
    """Picture i appears at `ticks[i]` units of `base` seconds; the last one stays for `tail` units."""

    ticks: tuple[int, ...]
    base: Fraction
    tail: int = 1
    first: int = 0  # number that the first picture spells

    @property
    def end(self) -> float:
        return float((self.ticks[-1] + self.tail) * self.base)

    @property
    def shown(self) -> Shown:
        return tuple((float(tick * self.base), self.first + i) for i, tick in enumerate(self.ticks))

    def durations(self) -> dict[int, int]:
        """tick → how long its picture stays, in ticks."""
        nexts = (*self.ticks[1:], self.ticks[-1] + self.tail)
        return {tick: after - tick for tick, after in zip(self.ticks, nexts, strict=True)}

    def moved(self, seconds: Fraction | int, *, first: int | None = None) -> Shape:
        """The same, later, and with the numbers beginning at `first`."""
        later = Fraction(seconds) / self.base
        assert later.denominator == 1, "not a whole number of ticks"
        ticks = tuple(tick + int(later) for tick in self.ticks)
        return Shape(ticks, self.base, self.tail, self.first if first is None else first)


def steady(seconds: int | Fraction = 10, rate: int | Fraction = 12) -> Shape:
    """A constant rate."""
    return Shape(tuple(range(max(1, round(seconds * rate)))), Fraction(1) / rate)


def irregular(ticks: Iterable[int], *, rate: int = 10, tail: int = 1) -> Shape:
    """A clock of `rate` ticks a second of which only some bring a picture."""
    return Shape(tuple(ticks), Fraction(1, rate), tail)


def standing_still() -> Shape:
    """A recorded screen: ten pictures a second for two seconds, then one every two seconds until 20 s."""
    return irregular([*range(20), *range(20, 201, 20)])


def lapse(minutes: int = 8) -> Shape:
    """One picture a minute."""
    return irregular(range(0, minutes * 60, 60), rate=1, tail=60)


def every_third_dropped(seconds: int = 8, rate: int = 12) -> Shape:
    """A camera in bad light."""
    return irregular([tick for tick in range(seconds * rate) if tick % 3 != 2], rate=rate)


def then(*parts: Shape) -> tuple[Shown, float]:
    """What is shown, and until when, where each part begins as the one before ends."""
    shown: list[tuple[float, int]] = []
    begin = 0.0
    for part in parts:
        origin = float(part.ticks[0] * part.base)
        shown += [(begin + time - origin, index) for time, index in part.shown]
        begin += part.end - origin
    return tuple(shown), begin
