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
class Group:
    """Rows whose prefixes are about as long.

    Legend: R rows, P tokens of the longest prefix, N branches of these rows, S tokens of the longest.
    """

    prefix_RP: Tensor  # which token stands there; any one behind the end of a shorter prefix
    branch_NS: Tensor  # likewise
    row_N: Tensor  # the row that a branch belongs to
    earlier_PP: Tensor  # bool: what a token of a prefix attends to
    seen_NSK: Tensor  # bool: what a token of a branch attends to, of its row's P and its own S tokens


@dataclass(frozen=True)
class Layout:
    """Where prefixes and branches lie among T tokens."""

    groups: tuple[Group, ...]
    place_T: Tensor  # where each token stands behind the prefixes and branches of all groups in turn

    @classmethod
    def of(cls, rows: Sequence[tuple[int, Sequence[int]]]) -> Layout:
        """The layout of rows of a prefix length and the lengths of the branches behind it, none of them 0 and
        at least one a row."""
        alike: dict[int, tuple[list[Tensor], list[Tensor], list[int]]] = {}
        at = 0
        for prefix, lengths in rows:
            prefixes, branches, owners = alike.setdefault(prefix.bit_length(), ([], [], []))
            owners += [len(prefixes)] * len(lengths)
            prefixes.append(torch.arange(at, at + prefix))
            at += prefix
            for length in lengths:
                branches.append(torch.arange(at, at + length))
                at += length
        groups, everything = [], []
        for prefixes, branches, owners in alike.values():
            prefix_RP = pad_sequence(prefixes, batch_first=True, padding_value=-1)
            branch_NS = pad_sequence(branches, batch_first=True, padding_value=-1)
            everything += [prefix_RP.flatten(), branch_NS.flatten()]
            row_N = torch.tensor(owners)
            within_SS, earlier_PP = (
                torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril() for x in (branch_NS, prefix_RP)
            )
            own_NSS = within_SS & (branch_NS >= 0)[:, None]
            before_NSP = (prefix_RP >= 0)[row_N][:, None].expand(-1, branch_NS.shape[1], -1)
            groups.append(
                Group(
                    prefix_RP.clamp(min=0),
                    branch_NS.clamp(min=0),
                    row_N,
                    earlier_PP,
                    torch.cat([before_NSP, own_NSS], 2),
                )
            )
        stands = torch.cat(everything)
        place_T = torch.empty(at, dtype=torch.long)
        place_T[stands[stands >= 0]] = (stands >= 0).nonzero()[:, 0]
        return cls(tuple(groups), place_T)


def _weighed(query: Tensor, key: Tensor, value: Tensor, seen: Tensor, scaling: float) -> Tensor:
    """Attention in so many words: torch's own for CPUs takes twice as long backwards for queries as short."""
    if query.is_cuda:
        return F.scaled_dot_product_attention(query, key, value, seen, scale=scaling)
    mask = torch.zeros(seen.shape, dtype=query.dtype).masked_fill_(~seen, -torch.inf)
    return (query * scaling @ key.transpose(-1, -2) + mask).softmax(-1) @ value


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
    heads, width = query_1HTE.shape[1], query_1HTE.shape[3]
    query_TD, key_TD, value_TD = (
        x[0].transpose(0, 1).to(value_1GTE.dtype).flatten(1) for x in (query_1HTE, key_1GTE, value_1GTE)
    )

    def taken(x_TD: Tensor, index: Tensor) -> Tensor:
        """[…, H, tokens, E] of the tokens of `index`, with keys as many times as queries share them."""
        x = x_TD.index_select(0, index.flatten()).view(*index.shape, -1, width).transpose(1, 2)
        return x.repeat_interleave(heads // x.shape[1], 1)

    found = []
    for group in layout.groups:
        prefix, branch, row = group.prefix_RP, group.branch_NS, group.row_N
        key, value = taken(key_TD, prefix), taken(value_TD, prefix)
        found += [
            _weighed(taken(query_TD, prefix), key, value, group.earlier_PP, scaling),
            _weighed(
                taken(query_TD, branch),
                torch.cat([key.index_select(0, row), taken(key_TD, branch)], 2),
                torch.cat([value.index_select(0, row), taken(value_TD, branch)], 2),
                group.seen_NSK[:, None],
                scaling,
            ),
        ]
    together = torch.cat([x.transpose(1, 2).flatten(2).flatten(0, 1) for x in found])
    return together.index_select(0, layout.place_T).view(1, -1, heads, width), None


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
