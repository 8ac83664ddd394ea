"""95 % confidence intervals of proportions and means, and McNemar's test of paired answers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Z = 1.959964  # the 97.5th percentile of the standard normal distribution
RESAMPLES = 10_000  # of the bootstrap


def wilson(right: int, total: int) -> tuple[float, float]:
    """Wilson's interval of the proportion `right` / `total`, in 0 … 1; not a number where `total` is 0.

    Unlike the normal approximation p ± z·√(p(1−p)/n), it has a width at 0 and at 1. See E. B. Wilson,
    "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    if not total:
        return math.nan, math.nan
    share = right / total
    centre = (share + Z * Z / (2 * total)) / (1 + Z * Z / total)
    margin = Z / (1 + Z * Z / total) * math.sqrt(share * (1 - share) / total + Z * Z / (4 * total * total))
    return centre - margin, centre + margin


def bootstrap(values: Sequence[float], *, seed: int = 0) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean of `values`, from `RESAMPLES` resamples.

    For paired answers, give the difference of each pair. Equal values and seeds give equal intervals.
    """
    if not len(values):
        return math.nan, math.nan
    sample = np.asarray(values, dtype=np.float64)
    resampled = np.random.default_rng(seed).integers(len(sample), size=(RESAMPLES, len(sample)))
    low, high = np.percentile(sample[resampled].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value of McNemar's test, which compares two variants on the same questions.

    Args:
        only_first, only_second: questions that only the first or only the second variant answers right.
            If neither is better, each of them is the toss of a coin.
    """
    tosses = only_first + only_second
    tail = sum(math.comb(tosses, heads) for heads in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail / 2**tosses)
