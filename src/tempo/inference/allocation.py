"""Adaptive Token Allocation: from relevance to the number of memory tokens that each segment keeps.

Pure functions. The formulas are the paper's (arXiv 2604.08120), computed in float32 as the published code
does, because a rounding error would move a token from one segment to another.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from .keep_strategies import Keep


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


def positions(k: int, *, total: int, keep: Keep, segment: int) -> list[int]:
    """Which of a segment's `total` memory tokens are kept, ascending, for head, tail and random.

    Random is drawn from a generator seeded with the segment's index: the same question gets the same answer.
    """
    if keep == "head":
        return list(range(k))
    if keep == "tail":
        return list(range(total - k, total))
    if keep == "random":
        generator = torch.Generator().manual_seed(segment)
        return torch.randperm(total, generator=generator)[:k].sort().values.tolist()
    raise ValueError(f"keep={keep!r} has no fixed positions")


def tokens_needed(k: int, *, total: int, keep: Keep, segment: int) -> int:
    """How many memory tokens have to be computed, from the first, to keep `k`: they are causal."""
    if keep == "merge":
        return k if k == total else total
    return max(positions(k, total=total, keep=keep, segment=segment), default=-1) + 1


def select(memory_MD: torch.Tensor, k: int, *, total: int, keep: Keep, segment: int) -> torch.Tensor:
    """The `k` kept rows of a segment's memory tokens [M, D], of which the first `tokens_needed` are given."""
    if keep == "merge":
        return merge(memory_MD, k)
    if keep == "head":
        return memory_MD[:k]
    index = positions(k, total=total, keep=keep, segment=segment)
    return memory_MD[torch.tensor(index, dtype=torch.long, device=memory_MD.device)]


def merge(memory_MD: torch.Tensor, k: int) -> torch.Tensor:
    """Merge [M, D] into [k, D] by bipartite soft matching (Token Merging, Bolya et al. 2023).

    Even rows look for their most similar odd row by cosine; the closest pairs become their mean, weighted by
    how many rows each already stands for. At most half of them go in a round; it repeats until k are left.
    """
    rows_ND = memory_MD.float()
    size_N = torch.ones(len(rows_ND), device=rows_ND.device)
    while len(rows_ND) > k:
        even_ED, odd_OD = rows_ND[0::2], rows_ND[1::2]
        similarity_EO = F.normalize(even_ED, dim=-1) @ F.normalize(odd_OD, dim=-1).T
        best_E, partner_E = similarity_EO.max(dim=1)
        gone = best_E.argsort(descending=True, stable=True)[: min(len(rows_ND) - k, len(even_ED))]
        target = partner_E[gone] * 2 + 1
        total_ND = rows_ND * size_N[:, None]
        total_ND = total_ND.index_add(0, target, total_ND[gone * 2])
        size_N = size_N.index_add(0, target, size_N[gone * 2])
        kept = torch.ones(len(rows_ND), dtype=torch.bool, device=rows_ND.device)
        kept[gone * 2] = False
        rows_ND, size_N = (total_ND / size_N[:, None])[kept], size_N[kept]
    return rows_ND.to(memory_MD.dtype)
