"""95 % intervals for shares and means, and a test for two ways on the same questions. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Z = 1.959964
ROUNDS = 10_000


def wilson(right: int, total: int) -> tuple[float, float]:
    """The interval of a share, in 0 … 1. Unlike p ± z·√(p(1−p)/n) it has a width at 0 and at 1."""
    if not total:
        return math.nan, math.nan
    share = right / total
    centre = (share + Z * Z / (2 * total)) / (1 + Z * Z / total)
    margin = Z / (1 + Z * Z / total) * math.sqrt(share * (1 - share) / total + Z * Z / (4 * total * total))
    return centre - margin, centre + margin


def bootstrap(values: Sequence[float], *, seed: int = 0) -> tuple[float, float]:
    """The interval of a mean: percentiles of the means of `ROUNDS` samples drawn with replacement.

    Of differences, question by question, it is the paired interval. Equal values and seeds give equal
    intervals.
    """
    if not len(values):
        return math.nan, math.nan
    given_N = np.asarray(values, dtype=np.float64)
    drawn_RN = np.random.default_rng(seed).integers(len(given_N), size=(ROUNDS, len(given_N)))
    low, high = np.percentile(given_N[drawn_RN].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p of McNemar's test.

    Args:
        only_first, only_second: questions that only one of two ways answers right. Where neither is better,
            each of them is a toss of a coin.
    """
    tosses = only_first + only_second
    tail = sum(math.comb(tosses, heads) for heads in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail / 2**tosses)
