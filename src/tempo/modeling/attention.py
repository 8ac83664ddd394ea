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
    query_SHQE: torch.Tensor,
    key_SGLE: torch.Tensor,
    value_SGLE: torch.Tensor,
    mask_11QL: torch.Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """What transformers' `sdpa` computes → [S, Q, H, E]; without a mask several tokens are left to that."""
    if mask_11QL is None and query_SHQE.shape[2] > 1:
        return sdpa_attention_forward(
            module, query_SHQE, key_SGLE, value_SGLE, None, scaling=scaling, **options
        )
    segments, heads, tokens, width = query_SHQE.shape
    sharing = heads // key_SGLE.shape[1]
    rows_SGRE = query_SHQE.reshape(segments, -1, sharing * tokens, width)  # R = sharing · Q
    mask_11RL = None if mask_11QL is None else mask_11QL.repeat(1, 1, sharing, 1)
    out_SGRE = F.scaled_dot_product_attention(
        rows_SGRE, key_SGLE, value_SGLE, attn_mask=mask_11RL, scale=scaling
    )
    return out_SGRE.reshape(segments, heads, tokens, width).transpose(1, 2).contiguous(), None


AttentionInterface.register(GROUPED, grouped_sdpa)
