"""One token more of many answers: the decoder over rows whose pasts have different lengths.

Everything but attention goes through the layers for all rows at once. Each row attends to a cache of its own,
exactly as it would alone, so rows need neither padding nor a mask, and may come and go between two steps.

Shapes: see :mod:`tempo.modeling`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from .attention import grouped_sdpa, rotate
from .kv_cache import KVCache


def decode_step(decoder: nn.Module, ids: Sequence[int], caches: Sequence[KVCache]) -> torch.Tensor:
    """Read one token in each row → the last hidden states [B, 1, U], normalised.

    Args:
        ids: one token for each row.
        caches: each row's own, of one segment; the token's keys and values are added.
    """
    model: Any = decoder
    device = caches[0].data.device
    x_B1U = model.embed_tokens(torch.tensor(ids, device=device)[:, None])
    positions_B1 = torch.tensor([cache.length for cache in caches], device=device)[:, None]
    cos, sin = model.rotary_emb(x_B1U, positions_B1)
    for layer in model.layers:
        attention = layer.self_attn
        normed_B1U = layer.input_layernorm(x_B1U)
        heads = (len(ids), 1, -1, attention.head_dim)
        query_BA1E = attention.q_norm(attention.q_proj(normed_B1U).view(heads)).transpose(1, 2)
        key_BG1E = attention.k_norm(attention.k_proj(normed_B1U).view(heads)).transpose(1, 2)
        value_BG1E = attention.v_proj(normed_B1U).view(heads).transpose(1, 2)
        query_BA1E, key_BG1E = rotate(query_BA1E, cos, sin), rotate(key_BG1E, cos, sin)
        seen = []
        for row, cache in enumerate(caches):
            at = slice(row, row + 1)
            past = cache.update(key_BG1E[at], value_BG1E[at], attention.layer_idx)
            seen.append(grouped_sdpa(attention, query_BA1E[at], *past, None, attention.scaling)[0])
        x_B1U = x_B1U + attention.o_proj(torch.cat(seen).flatten(2))
        x_B1U = x_B1U + layer.mlp(layer.post_attention_layernorm(x_B1U))
    for cache in caches:
        cache.length += 1
    return model.norm(x_B1U)
