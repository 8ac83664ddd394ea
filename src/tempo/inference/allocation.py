"""Adaptive Token Allocation: from relevance to the number of memory tokens that each segment keeps.

Pure functions. The formulas are the paper's (arXiv 2604.08120), computed in float32 as the published code
does, because a rounding error would move a token from one segment to another.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


def allocate(
    relevance: Sequence[float], *, budget: int, k_min: int, k_max: int, by_relevance: bool = True
) -> list[int]:
    """How many memory tokens each segment keeps: by relevance, or the same number for all."""
    if by_relevance:
        return adaptive(relevance, budget=budget, k_min=k_min, k_max=k_max)
    return uniform(len(relevance), budget=budget, k_max=k_max)


def adaptive(relevance: Sequence[float], *, budget: int, k_min: int, k_max: int) -> list[int]:
    """How many of its `k_max` memory tokens each segment keeps, by relevance, under `budget` in all.

    ŝ = (s − min) / (max − min) and k = k_min + ⌊ŝ·(k_max − k_min)⌋. When Σk is over the budget,
    k = k_min + ⌊ŝ/Σŝ · (budget − S·k_min)⌋ and the remainder goes one by one to the largest ŝ. When even
    S·k_min is over the budget, k_min becomes max(1, ⌊budget/S⌋). Equal scores: min(k_max, ⌊budget/S⌋) each.

    A budget under one token a segment still gives every segment one, as published; callers that promise a
    hard budget refuse it before.
    """
    count = len(relevance)
    if count == 0:
        return []
    if count * k_min > budget:
        k_min = max(1, budget // count)
    k_min = min(k_min, k_max)
    score_S = torch.tensor(relevance, dtype=torch.float32)
    span = score_S.max() - score_S.min()
    if span < 1e-8:
        return uniform(count, budget=budget, k_max=k_max)
    share_S = (score_S - score_S.min()) / span
    k_S = k_min + (share_S * (k_max - k_min)).floor().long()
    if int(k_S.sum()) > budget:
        spare = max(0, budget - count * k_min)
        weight_S = share_S / share_S.sum().item()
        extra_S = (weight_S * spare).floor().long()
        left = spare - int(extra_S.sum())
        extra_S[torch.argsort(weight_S, descending=True, stable=True)[:left]] += 1
        k_S = k_min + extra_S
    return k_S.clamp(k_min, k_max).tolist()


def uniform(count: int, *, budget: int, k_max: int) -> list[int]:
    """The same number of tokens for each of `count` segments: min(k_max, ⌊budget/S⌋), at least one."""
    return [min(k_max, max(1, budget // count))] * count if count else []
