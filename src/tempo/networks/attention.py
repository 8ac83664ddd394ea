"""Attention to what was read before, without a copy of it for every query head.

Where several query heads share the keys and values of one head, transformers repeats those for each of them
as soon as there is a mask. Reading on behind a long past, that copies all of the past in every layer. Here
the queries of the heads that share are put in a row instead, which is the same sum in the same kernel.

Shapes: see :mod:`tempo.modeling`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

GROUPED = "tempo_grouped_sdpa"


def grouped_sdpa(
    module: Any,
    query_SAQE: torch.Tensor,
    key_SGLE: torch.Tensor,
    value_SGLE: torch.Tensor,
    mask_11QL: torch.Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """What transformers' `sdpa` computes → [S, Q, A, E].

    Without a mask a single token attends to everything, and of several each to itself and those before it,
    if the module is causal.

    Args:
        options: what transformers gives to every attention function; none of it plays a part here.
    """
    segments, heads, tokens, width = query_SAQE.shape
    sharing = heads // key_SGLE.shape[1]
    if mask_11QL is None and tokens > 1:
        if sharing > 1 and query_SAQE.device.type == "mps":  # where torch shares heads from 2.13 on only
            key_SGLE, value_SGLE = (x.repeat_interleave(sharing, 1) for x in (key_SGLE, value_SGLE))
            sharing = 1
        causal, shared = module.is_causal, sharing > 1
        out_SAQE = F.scaled_dot_product_attention(
            query_SAQE, key_SGLE, value_SGLE, scale=scaling, is_causal=causal, enable_gqa=shared
        )
        return out_SAQE.transpose(1, 2).contiguous(), None
    rows_SGJE = query_SAQE.reshape(segments, -1, sharing * tokens, width)  # J = sharing · Q
    mask_11JL = None if mask_11QL is None else mask_11QL.repeat(1, 1, sharing, 1)
    out_SGJE = F.scaled_dot_product_attention(
        rows_SGJE, key_SGLE, value_SGLE, attn_mask=mask_11JL, scale=scaling
    )
    return out_SGJE.reshape(segments, heads, tokens, width).transpose(1, 2).contiguous(), None


def rotate(x_SAQE: torch.Tensor, cos_SQE: torch.Tensor, sin_SQE: torch.Tensor) -> torch.Tensor:
    """Queries or keys turned by their positions: the first half of a head with the second."""
    first, second = x_SAQE.chunk(2, dim=-1)
    turned = torch.cat([-second, first], dim=-1)
    return x_SAQE * cos_SQE[:, None] + turned * sin_SQE[:, None]
