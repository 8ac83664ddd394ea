"""Attention over rows that lie end to end: a prefix each, and branches that see it and themselves.

A mask over whole rows would be mostly empty, and rows of unequal lengths mostly padding. Prefixes attend
among themselves here, and every branch to its prefix and to itself; everything that is not attention sees
nothing but tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from transformers import AttentionInterface

_NAME = "tempo_packed"


@dataclass(frozen=True)
class Branches:
    """Branches that are about as long, behind the rows of one group.

    Legend: N branches, S tokens of the longest, K = P + S, with P tokens of the longest prefix.
    """

    row_N: Tensor  # the row that a branch belongs to
    seen_NSK: Tensor  # bool: what a token of a branch attends to, of its row's prefix and its own tokens


@dataclass(frozen=True)
class Group:
    """Rows whose prefixes are about as long.

    Legend: R rows, P tokens of the longest prefix.
    """

    rows: int
    earlier_PP: Tensor  # bool: what a token of a prefix attends to
    branches: tuple[Branches, ...]


@dataclass(frozen=True)
class Layout:
    """Where prefixes and branches lie among T tokens.

    Legend: Q places, those of each group's prefixes and of its branches in turn, padded to the longest.
    """

    groups: tuple[Group, ...]
    token_Q: Tensor  # which token stands there; any one where none does
    place_T: Tensor  # where each token stands

    @classmethod
    def of(cls, rows: Sequence[tuple[int, Sequence[int]]]) -> Layout:
        """The layout of rows of a prefix length and the lengths of the branches behind it, none of them 0 and
        at least one a row.

        Lengths of as many binary digits are alike, so that most of what is multiplied is no padding.
        """
        prefixes: dict[int, list[Tensor]] = {}
        branches: dict[int, dict[int, list[tuple[int, Tensor]]]] = {}
        at = 0
        for prefix, lengths in rows:
            size = prefix.bit_length()
            alike, behind = prefixes.setdefault(size, []), branches.setdefault(size, {})
            alike.append(torch.arange(at, at + prefix))
            at += prefix
            for length in lengths:
                tokens = torch.arange(at, at + length)
                behind.setdefault(length.bit_length(), []).append((len(alike) - 1, tokens))
                at += length
        groups, stands = [], []
        for size, alike in prefixes.items():
            prefix_RP = _padded(alike)
            stands.append(prefix_RP.flatten())
            behind_them = []
            for some in branches[size].values():
                row_N, branch_NS = torch.tensor([row for row, _ in some]), _padded([ids for _, ids in some])
                stands.append(branch_NS.flatten())
                own_NSS = _earlier(branch_NS) & (branch_NS >= 0)[:, None]
                before_NSP = (prefix_RP >= 0)[row_N][:, None].expand(-1, branch_NS.shape[1], -1)
                behind_them.append(Branches(row_N, torch.cat([before_NSP, own_NSS], 2)))
            groups.append(Group(len(alike), _earlier(prefix_RP), tuple(behind_them)))
        token_Q = torch.cat(stands)
        place_T = torch.empty(at, dtype=torch.long)
        place_T[token_Q[token_Q >= 0]] = (token_Q >= 0).nonzero()[:, 0]
        return cls(tuple(groups), token_Q.clamp(min=0), place_T)


def _padded(tokens: list[Tensor]) -> Tensor:
    """Each of them in a row of its own, with -1 behind it."""
    return pad_sequence(tokens, batch_first=True, padding_value=-1)


def _earlier(tokens_NS: Tensor) -> Tensor:
    """bool [S, S]: a token attends to itself and to those before it."""
    return torch.ones(tokens_NS.shape[1], tokens_NS.shape[1], dtype=torch.bool).tril()


# torch adds up the gradient of an indexed tensor element by element, on one core. Here a token stands in one
# place and padding learns nothing, so gradients are only moved; a matrix product adds up those of a row.


class _ToPlaces(torch.autograd.Function):
    """Of T tokens to their Q places."""

    @staticmethod
    def forward(context: Any, x_TD: Tensor, layout: Layout) -> Tensor:
        context.place_T = layout.place_T
        return x_TD.index_select(0, layout.token_Q)

    @staticmethod
    def backward(context: Any, gradient_QD: Tensor) -> tuple[Tensor, None]:
        return gradient_QD.index_select(0, context.place_T), None


class _FromPlaces(torch.autograd.Function):
    """Of Q places to the T tokens that stand there."""

    @staticmethod
    def forward(context: Any, x_QD: Tensor, layout: Layout) -> Tensor:
        context.layout = layout
        return x_QD.index_select(0, layout.place_T)

    @staticmethod
    def backward(context: Any, gradient_TD: Tensor) -> tuple[Tensor, None]:
        places = len(context.layout.token_Q)
        gradient_QD = gradient_TD.new_zeros(places, *gradient_TD.shape[1:])
        return gradient_QD.index_copy_(0, context.layout.place_T, gradient_TD), None


class _OfRows(torch.autograd.Function):
    """What belongs to R rows, for each of the N branches behind them."""

    @staticmethod
    def forward(context: Any, x_RGPE: Tensor, row_N: Tensor) -> Tensor:
        context.rows, context.row_N = len(x_RGPE), row_N
        return x_RGPE.index_select(0, row_N)

    @staticmethod
    def backward(context: Any, gradient_NGPE: Tensor) -> tuple[Tensor, None]:
        belongs_RN = F.one_hot(context.row_N, context.rows).T.to(gradient_NGPE.dtype)
        return (belongs_RN @ gradient_NGPE.flatten(1)).unflatten(1, gradient_NGPE.shape[1:]), None


def _weighed(
    query_NHSE: Tensor, key_NGKE: Tensor, value_NGKE: Tensor, seen: Tensor, scaling: float
) -> Tensor:
    """Attention in so many words: torch's own for CPUs takes twice as long backwards for queries as short.

    Args:
        seen: bool [S, K], or [N, S, K].
    """
    if query_NHSE.is_cuda:
        mask = seen if seen.ndim == 2 else seen[:, None]
        # Repeated: of torch's fused kernels none takes a mask and heads that share keys.
        shared = query_NHSE.shape[1] // key_NGKE.shape[1]
        key, value = (x.repeat_interleave(shared, 1) for x in (key_NGKE, value_NGKE))
        return F.scaled_dot_product_attention(query_NHSE, key, value, mask, scale=scaling)
    mask = torch.zeros(seen.shape, dtype=query_NHSE.dtype).masked_fill_(~seen, -torch.inf)
    rows, groups, width = len(key_NGKE), key_NGKE.shape[1], key_NGKE.shape[3]
    query_NGQE = (query_NHSE * scaling).reshape(rows, groups, -1, width)  # the heads that share keys in turn
    score_NGQK = query_NGQE @ key_NGKE.transpose(-1, -2)
    score_NHSK = score_NGQK.view(rows, -1, *seen.shape[-2:]) + (mask if seen.ndim == 2 else mask[:, None])
    return (score_NHSK.softmax(-1).view_as(score_NGQK) @ value_NGKE).view_as(query_NHSE)


def _attend(
    module: Any,
    query_1HTE: Tensor,
    key_1GTE: Tensor,
    value_1GTE: Tensor,
    attention_mask: Tensor | None,
    *,
    layout: Layout,
    scaling: float,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention for transformers' models over the rows of `layout`. Legend: H query heads, G of keys, E wide
    each."""
    dtype = value_1GTE.dtype
    sizes = [
        size
        for group in layout.groups
        for size in (
            group.rows * len(group.earlier_PP),
            *(behind.seen_NSK[..., 0].numel() for behind in group.branches),
        )
    ]
    query, key, value = (
        iter(_ToPlaces.apply(x[0].transpose(0, 1).to(dtype).flatten(1), layout).split(sizes))
        for x in (query_1HTE, key_1GTE, value_1GTE)
    )
    width = value_1GTE.shape[3]

    def heads(places: Iterator[Tensor], rows: int) -> Tensor:
        """[rows, heads, tokens, E] of the next places."""
        x = next(places)
        return x.view(rows, len(x) // rows, -1, width).transpose(1, 2)

    found = []
    for group in layout.groups:
        key_RGPE, value_RGPE = heads(key, group.rows), heads(value, group.rows)
        found.append(_weighed(heads(query, group.rows), key_RGPE, value_RGPE, group.earlier_PP, scaling))
        for behind in group.branches:
            branches = len(behind.row_N)
            found.append(
                _weighed(
                    heads(query, branches),
                    torch.cat([_OfRows.apply(key_RGPE, behind.row_N), heads(key, branches)], 2),
                    torch.cat([_OfRows.apply(value_RGPE, behind.row_N), heads(value, branches)], 2),
                    behind.seen_NSK,
                    scaling,
                )
            )
    together_QHE = torch.cat([x.transpose(1, 2).flatten(0, 1) for x in found])
    return _FromPlaces.apply(together_QHE, layout)[None], None


AttentionInterface.register(_NAME, _attend)  # and no mask with it, so that transformers makes none


@contextmanager
def attending(language: Any) -> Iterator[None]:
    """Let a language model of transformers, called with `layout`, attend as that says."""
    before = language.config._attn_implementation
    language.config._attn_implementation = _NAME
    try:
        yield
    finally:
        language.config._attn_implementation = before
