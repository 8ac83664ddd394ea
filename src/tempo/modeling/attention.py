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
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

GROUPED = "tempo_grouped_sdpa"


def grouped_sdpa(
    module: torch.nn.Module,
    query_SAQE: torch.Tensor,
    key_SGLE: torch.Tensor,
    value_SGLE: torch.Tensor,
    mask_11QL: torch.Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """What transformers' `sdpa` computes → [S, Q, A, E]; without a mask several tokens are left to that."""
    if mask_11QL is None and query_SAQE.shape[2] > 1:
        return sdpa_attention_forward(
            module, query_SAQE, key_SGLE, value_SGLE, None, scaling=scaling, **options
        )
    segments, heads, tokens, width = query_SAQE.shape
    sharing = heads // key_SGLE.shape[1]
    rows_SGJE = query_SAQE.reshape(segments, -1, sharing * tokens, width)  # J = sharing · Q
    mask_11JL = None if mask_11QL is None else mask_11QL.repeat(1, 1, sharing, 1)
    out_SGJE = F.scaled_dot_product_attention(
        rows_SGJE, key_SGLE, value_SGLE, attn_mask=mask_11JL, scale=scaling
    )
    return out_SGJE.reshape(segments, heads, tokens, width).transpose(1, 2).contiguous(), None


AttentionInterface.register(GROUPED, grouped_sdpa)
