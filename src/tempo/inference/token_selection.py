"""Which of a segment's memory tokens are kept, once the allocation says how many.

Shapes: see :mod:`tempo.modeling`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from .keep_strategies import Keep


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
    rows_MD = memory_MD.float()
    size_M = torch.ones(len(rows_MD), device=rows_MD.device)
    while len(rows_MD) > k:
        even, odd = rows_MD[0::2], rows_MD[1::2]
        similarity = F.normalize(even, dim=-1) @ F.normalize(odd, dim=-1).T
        best, partner = similarity.max(dim=1)
        gone = best.argsort(descending=True, stable=True)[: min(len(rows_MD) - k, len(even))]
        target = partner[gone] * 2 + 1
        total_MD = rows_MD * size_M[:, None]
        total_MD = total_MD.index_add(0, target, total_MD[gone * 2])
        size_M = size_M.index_add(0, target, size_M[gone * 2])
        kept = torch.ones(len(rows_MD), dtype=torch.bool, device=rows_MD.device)
        kept[gone * 2] = False
        rows_MD, size_M = (total_MD / size_M[:, None])[kept], size_M[kept]
    return rows_MD.to(memory_MD.dtype)
