"""The decoder over rows of different lengths: storylines of answers that begin, a token of each that runs.

The rows' new tokens stand behind one another in one sequence, so that everything but attention goes through
the layers for all of them at once. Each row attends to a cache of its own, exactly as it would alone: rows
need neither padding nor a mask, and may come and go between two steps.

Shapes: see :mod:`tempo.modeling`; N counts the new tokens of all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import nn

from .attention import grouped_sdpa, rotate
from .kv_cache import KVCache


def read_rows(
    decoder: nn.Module, x_1NU: torch.Tensor, lengths: Sequence[int], caches: Sequence[KVCache]
) -> torch.Tensor:
    """Read new tokens in each row → the last hidden state of each [B, 1, U], normalised.

    Args:
        x_1NU: the embeddings of all of them, row behind row.
        lengths: how many are of which row: one, or any number where the row's cache is empty.
        caches: each row's own, of one segment; the tokens' keys and values are added.
    """
    model: Any = decoder
    ends = list(accumulate(lengths))
    rows = [slice(end - length, end) for end, length in zip(ends, lengths, strict=True)]
    pasts = [cache.length for cache in caches]
    positions = [torch.arange(past, past + length) for past, length in zip(pasts, lengths, strict=True)]
    rope = model.rotary_emb(x_1NU, torch.cat(positions)[None].to(x_1NU.device))
    last_B = torch.tensor(ends, device=x_1NU.device) - 1
    for layer in model.layers:
        attention = layer.self_attn
        normed_1NU = layer.input_layernorm(x_1NU)
        key_1GNE = attention.k_norm(_heads(attention.k_proj(normed_1NU), attention.head_dim))
        key_1GNE = rotate(key_1GNE.transpose(1, 2), *rope)
        value_1GNE = _heads(attention.v_proj(normed_1NU), attention.head_dim).transpose(1, 2)
        seen = [
            cache.update(key_1GNE[:, :, row], value_1GNE[:, :, row], attention.layer_idx)
            for row, cache in zip(rows, caches, strict=True)
        ]
        if layer is model.layers[-1] and len(ends) < ends[-1]:
            # Nobody sees what the top layer makes of the others.
            x_1NU, normed_1NU = x_1NU[:, last_B], normed_1NU[:, last_B]
            rope = (rope[0][:, last_B], rope[1][:, last_B])
            rows = [slice(row, row + 1) for row in range(len(ends))]
        query_1NAE = attention.q_norm(_heads(attention.q_proj(normed_1NU), attention.head_dim))
        query_1ANE = rotate(query_1NAE.transpose(1, 2), *rope)
        out = [
            grouped_sdpa(attention, query_1ANE[:, :, row], *past, None, attention.scaling)[0]
            for row, past in zip(rows, seen, strict=True)
        ]
        x_1NU = x_1NU + attention.o_proj(torch.cat(out, dim=1).flatten(2))
        x_1NU = x_1NU + layer.mlp(layer.post_attention_layernorm(x_1NU))
    for cache, length in zip(caches, lengths, strict=True):
        cache.length += length
    return model.norm(x_1NU.transpose(0, 1))


def _heads(x_1NH: torch.Tensor, width: int) -> torch.Tensor:
    """[1, N, heads · E] → [1, N, heads, E]."""
    return x_1NH.unflatten(-1, (-1, width))
