"""The variants of the method that are compared: what each segment keeps, and what the decoder reads.

Every variant reads the same cached video with the same weights. `ADAPTIVE` is what `Session.ask` does by
default; each of the others differs from it, or from another one named here, in one thing. Pure functions.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from tempo.inference import allocation
from tempo.inference.keep_strategies import KEEPS, Keep

Spread = Literal["adaptive", "uniform", "even", "shuffled", "inverted"]

# The paper's budgets (arXiv 2604.08120) run from 0.25 to all 16 tokens a frame.
PUBLISHED_A_FRAME = 16
BUDGETS_A_FRAME = (0.25, 0.5, 1, 2, 4, 8, 16)
# The published budget of 4096 for 128 segments.
QUARTER = 1 / 4
# Asked instead of the question, where memory tokens are to be written without it.
NEUTRAL = "Describe the segment."


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One variant of answering a question.

    Attributes:
        spread: *adaptive* by relevance, *uniform* the same number for each segment under the cap; and with as
            many tokens as adaptive takes: *even* over the segments, *shuffled* with its numbers dealt out at
            random, *inverted* with its largest numbers for the least relevant.
        share: the cap, as a share of all memory tokens; None: the model's own budget.
        keep: which memory tokens of a segment stay.
        asked: whether memory tokens are written with the question in mind, or with NEUTRAL. Relevance always
            is that for the question.
        timed: whether timestamps stand in the storyline.
    """

    spread: Spread = "adaptive"
    share: float | None = None
    keep: Keep = "head"
    asked: bool = True
    timed: bool = True

    @property
    def name(self) -> str:
        """A name that no other variant has."""
        parts: list[str] = [self.spread]
        if self.share is not None:
            parts.append(f"{self.share:g} of all")
        if self.keep != "head":
            parts.append(self.keep)
        if not self.asked:
            parts.append("without the question")
        if not self.timed:
            parts.append("without times")
        return ", ".join(parts)


ADAPTIVE = Variant()
# For comparisons of what is kept: here every segment gives something up, while adaptive allocation leaves the
# moment that matters all of its tokens.
QUARTER_HEAD = Variant(spread="uniform", share=QUARTER)


def budget_shares(k_max: int) -> list[float]:
    """Shares of all memory tokens that the published budgets stand for, down to one token a segment."""
    shares = [tokens / PUBLISHED_A_FRAME for tokens in BUDGETS_A_FRAME]
    return [share for share in shares if share * k_max >= 1]


def tight_share(k_max: int) -> float:
    """A token and a quarter a segment: each keeps one, and a few can have more."""
    return 1.25 / k_max


def allocations(share: float | None) -> list[Variant]:
    """Adaptive allocation at a cap, and what it is compared with."""
    spreads: tuple[Spread, ...] = ("adaptive", "uniform", "even", "shuffled", "inverted")
    return [Variant(spread=spread, share=share) for spread in spreads]


def keeps(like: Variant) -> list[Variant]:
    """`like` with each choice of memory tokens, its own first."""
    return [Variant(spread=like.spread, share=like.share, keep=keep) for keep in KEEPS]


def over_budgets(spread: Spread, k_max: int) -> list[Variant]:
    """A spread under each budget, tightest first."""
    return [Variant(spread=spread, share=share) for share in budget_shares(k_max)]


def every_variant(k_max: int) -> list[Variant]:
    """Every variant for a model with `k_max` memory tokens a segment, each once."""
    variants = [
        *allocations(None),
        *allocations(tight_share(k_max)),
        *keeps(ADAPTIVE),
        *keeps(QUARTER_HEAD),
        Variant(asked=False),
        Variant(timed=False),
        *over_budgets("adaptive", k_max),
        *over_budgets("uniform", k_max),
    ]
    return list(dict.fromkeys(variants))


def budget_of(variant: Variant, segments: int, *, k_max: int, own: int) -> int:
    """The cap in memory tokens for a video of `segments`; at least one for each.

    Args:
        own: the model's own budget.
    """
    return own if variant.share is None else max(segments, int(variant.share * segments * k_max + 1e-6))


def kept_tokens(
    variant: Variant, relevance: Sequence[float], *, budget: int, k_min: int, k_max: int, seed: str
) -> list[int]:
    """How many memory tokens each segment keeps.

    Args:
        seed: what a shuffle is drawn from.
    """
    if variant.spread == "uniform":
        return allocation.uniform(len(relevance), budget=budget, k_max=k_max)
    counts = allocation.adaptive(relevance, budget=budget, k_min=k_min, k_max=k_max)
    if variant.spread == "even":
        return even(sum(counts), len(counts))
    if variant.spread == "shuffled":
        return random.Random(seed).sample(counts, len(counts))
    return inverted(counts, relevance) if variant.spread == "inverted" else counts


def even(tokens: int, segments: int) -> list[int]:
    """`tokens` over `segments`: each has ⌊tokens/segments⌋ or one more, and those with more lie evenly."""
    ends = [place * tokens // segments for place in range(segments + 1)]
    return [after - before for before, after in pairwise(ends)]


def inverted(counts: Sequence[int], relevance: Sequence[float]) -> list[int]:
    """The same numbers in the reversed order of relevance: the least relevant segment has the most."""
    turned = [0] * len(counts)
    upwards = sorted(range(len(counts)), key=lambda segment: relevance[segment])
    for segment, count in zip(upwards, sorted(counts, reverse=True), strict=True):
        turned[segment] = count
    return turned
