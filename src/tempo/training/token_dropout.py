"""Nested token dropout: how many memory tokens each segment keeps while the model is trained.

An answer keeps the first k memory tokens of a segment, and k is anything from a few to all of them. A model
that only ever saw all of them has no reason to put the most important thing first. So for a share of the
questions the numbers are random.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from tempo.inference import allocation

from .config import Allocation


def kept_tokens(
    relevance: Sequence[float],
    *,
    rng: random.Random,
    random_share: float,
    how: Allocation,
    budget: int,
    k_min: int,
    k_max: int,
) -> list[int]:
    """Memory tokens kept of each segment: with probability `random_share` random, else as answering does."""
    if rng.random() < random_share:
        return random_tokens(len(relevance), rng=rng, budget=budget, k_min=k_min, k_max=k_max)
    by_relevance = how == "adaptive"
    return allocation.allocate(relevance, budget=budget, k_min=k_min, k_max=k_max, by_relevance=by_relevance)


def random_tokens(count: int, *, rng: random.Random, budget: int, k_min: int, k_max: int) -> list[int]:
    """A random number for each of `count` segments, small ones as likely as large ones, within the budget."""
    k_min = max(1, min(k_min, budget // count))
    span = k_max / k_min
    wanted = [min(k_max, int(k_min * span ** rng.random() + 0.5)) for _ in range(count)]
    over = sum(wanted) - budget
    if over <= 0:
        return wanted
    spare = sum(k - k_min for k in wanted)
    share = max(0.0, 1 - over / spare) if spare else 0.0
    return [k_min + int((k - k_min) * share) for k in wanted]
