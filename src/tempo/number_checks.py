"""Checks that values from outside are usable numbers."""

from __future__ import annotations

import math
from typing import Any, TypeGuard

SLOWEST, FASTEST = 1e-6, 1000.0
"""Frames a second that can be asked for: one in eleven days, and more than any video has."""


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether it is an int or a float (no bool), finite, and not beyond what a float holds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False


def shown(value: Any) -> str:
    """A value as messages name it, cut where it is long."""
    try:
        text = str(value)
    except ValueError:  # a whole number of thousands of digits
        text = "a number of thousands of digits"
    return text if len(text) <= 40 else f"{text[:39]}…"


def is_whole(value: Any, *, least: int) -> TypeGuard[int]:
    """Whether it is an int (no bool) of at least `least`, and not beyond what the machine counts with."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**63
