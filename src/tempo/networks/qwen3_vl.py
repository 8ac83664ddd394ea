"""The way through a Qwen3-VL, module by module.

The modules are transformers' or those of :mod:`.vision_tower` and :mod:`.language_model`, which have the same
names. The way through them is written here, because it does what the `forward` of transformers' models does
not: it attends within all frame pairs of a batch in one call, stops at the end of a question-free prefix, and
goes on from there. Another backbone needs these functions.

Shapes: see :mod:`tempo.modeling`.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from tempo.processing.image_processor import Grid
from tempo.processing.prompts import Spans

from .attention import GROUPED, rotate
from .kv_cache import KVCache

VISION_THETA = 10000.0  # of the rotary positions in the vision towers of all Qwen-VL models


def vision_features(
    visual: nn.Module, pixels_SPC: torch.Tensor, grid: Grid
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Visual tokens [S, V, D] of segments with equal grids, and those of each deepstack layer, shaped alike.

    Equal to `visual(pixels, grid_thw)`, which attends within one frame pair after the other. Here the pairs
    are the batch of one attention call.
    """
    tower: Any = visual
    segments, (t, h, w) = len(pixels_SPC), grid
    embed = tower.patch_embed.proj  # a convolution whose stride is its kernel: a linear map of the patch
    pixels_FNC = pixels_SPC.reshape(segments * t, h * w, -1).to(embed.weight.dtype)
    x_FND = F.linear(pixels_FNC, embed.weight.flatten(1), embed.bias)
    x_FND = x_FND + _vision_positions(tower, h, w).to(x_FND.dtype)
    cos_NE, sin_NE = _vision_rope(tower, h, w, x_FND.device)

    deepstack = []
    for index, block in enumerate(tower.blocks):
        attention = block.attn
        qkv = attention.qkv(block.norm1(x_FND)).unflatten(-1, (3, attention.num_heads, -1))
        q_FANE, k_FANE, v_FANE = qkv.permute(2, 0, 3, 1, 4)
        o_FANE = F.scaled_dot_product_attention(
            _rotate(q_FANE, cos_NE, sin_NE), _rotate(k_FANE, cos_NE, sin_NE), v_FANE
        )
        x_FND = x_FND + attention.proj(o_FANE.transpose(1, 2).flatten(2))
        x_FND = x_FND + block.mlp(block.norm2(x_FND))
        if index in tower.deepstack_visual_indexes:
            merger = tower.deepstack_merger_list[list(tower.deepstack_visual_indexes).index(index)]
            deepstack.append(merger(x_FND.flatten(0, 1)).unflatten(0, (segments, -1)))
    return tower.merger(x_FND.flatten(0, 1)).unflatten(0, (segments, -1)), deepstack


def _blocks(grid: torch.Tensor, merge: int) -> torch.Tensor:
    """[h, w, …] → [N, …] in the order in which patches are laid out: merge×merge blocks, row by row."""
    h, w = grid.shape[:2]
    blocks = grid.reshape(h // merge, merge, w // merge, merge, *grid.shape[2:]).transpose(1, 2)
    return blocks.reshape(h * w, *grid.shape[2:])


def _vision_positions(tower: Any, h: int, w: int) -> torch.Tensor:
    """The learnt position grid, resampled bilinearly to h×w patches → [N, D]."""
    table = tower.pos_embed.weight
    side = int(len(table) ** 0.5)
    table_1Dhw = table.T.reshape(1, -1, side, side).float()
    table_1Dhw = F.interpolate(table_1Dhw, (h, w), mode="bilinear", align_corners=True)
    return _blocks(table_1Dhw[0].permute(1, 2, 0), tower.spatial_merge_size)


def _vision_rope(tower: Any, h: int, w: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosine and sine [N, E] of the axial rotation.

    A quarter of a head turns with the row, a quarter with the column, and the second half repeats the first.
    """
    width = tower.config.hidden_size // tower.config.num_heads // 2
    frequency = 1.0 / VISION_THETA ** (torch.arange(0, width, 2, device=device, dtype=torch.float32) / width)
    row_hw, column_hw = torch.meshgrid(
        torch.arange(h, device=device), torch.arange(w, device=device), indexing="ij"
    )
    place_N2 = _blocks(torch.stack([row_hw, column_hw], dim=-1), tower.spatial_merge_size)
    angle = (place_N2[..., None] * frequency).flatten(1)
    angle_NE = torch.cat([angle, angle], dim=-1)
    return angle_NE.cos(), angle_NE.sin()


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    wide = x.float()
    first, second = wide.chunk(2, dim=-1)
    return (wide * cos + torch.cat([-second, first], dim=-1) * sin).to(x.dtype)


def prefix_positions(length: int, spans: Spans, grid: Grid, merge: int) -> tuple[torch.Tensor, int]:
    """Rotary positions (time, row, column) [3, L] of a segment's prompt, and the position of what follows it.

    Text counts on one by one in all three. A frame pair stands at one time; its rows and columns count from
    there; what follows it starts behind the longer edge. (Their `get_rope_index`.)
    """
    h, w = grid[1] // merge, grid[2] // merge
    parts, at, done = [], 0, 0
    for start, end in spans:
        parts.append(torch.arange(at, at + start - done).expand(3, -1))
        at += start - done
        row, column = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        parts.append(torch.stack([torch.zeros_like(row), row, column]).flatten(1) + at)
        at, done = at + max(h, w), end
    parts.append(torch.arange(at, at + length - done).expand(3, -1))
    return torch.cat(parts, dim=1), at + length - done


def run_language(
    language: nn.Module,
    x_SLD: torch.Tensor,
    positions: torch.Tensor,
    *,
    cache: KVCache | None = None,
    deepstack: list[torch.Tensor] | None = None,
    visual_index: torch.Tensor | None = None,
    attends: torch.Tensor | None = None,
    last_only: bool = False,
) -> torch.Tensor:
    """The language model over embeddings, causally → its last hidden states [S, L, D], normalised.

    Args:
        positions: rotary positions [3, L], the same for all segments, or [3, S, L]; for a decoder, which
            reads in one direction alone, [1, L].
        cache: keys and values of what the tokens come after; theirs are added to it.
        deepstack: [S, V, D] for each of the first layers, added behind it at `visual_index` [V].
        attends: bool [Q, L] or, for each segment, [S, Q, L]; which tokens (columns) each new token (row)
            attends to, where that is not all before it.
        last_only: the last token's alone [S, 1, D]. What the top layer makes of the others nobody sees, so
            it does no more for them than to add their keys and values to `cache`.
    """
    model: Any = language
    if positions.ndim == 2 and len(positions) == 3:
        positions = positions[:, None]
    rope = model.rotary_emb(x_SLD, positions.to(x_SLD.device))
    mask = _mask(model.config._attn_implementation, x_SLD, cache.length if cache else 0, attends)
    others = last_only and x_SLD.shape[1] > 1
    for index, layer in enumerate(model.layers):
        if others and cache is not None and layer is model.layers[-1]:
            x_SLD, rope = _cache_all_but_last(layer, x_SLD, rope, cache)
            # One token, which attends to all before it unless something else was said.
            mask = None if attends is None or mask is None else mask[:, :, -1:]
            deepstack = None  # for tokens that are left out
        out = layer(
            x_SLD, position_embeddings=rope, attention_mask=mask, position_ids=None, past_key_values=cache
        )
        x_SLD = out[0] if isinstance(out, tuple) else out
        if deepstack is not None and visual_index is not None and index < len(deepstack):
            x_SLD = x_SLD.index_add(1, visual_index, deepstack[index].to(x_SLD.dtype))
    if cache is not None:
        cache.length += x_SLD.shape[1]
    return model.norm(x_SLD)


def _cache_all_but_last(
    layer: Any, x_SLD: torch.Tensor, rope: tuple[torch.Tensor, torch.Tensor], cache: KVCache
) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """Add all tokens but the last to `cache` in one layer → that one [S, 1, D], and its rotation."""
    attention = layer.self_attn
    normed_SLD = layer.input_layernorm(x_SLD[:, :-1])
    heads = (*normed_SLD.shape[:2], -1, attention.head_dim)
    key_SGLE = attention.k_norm(attention.k_proj(normed_SLD).view(heads)).transpose(1, 2)
    value_SGLE = attention.v_proj(normed_SLD).view(heads).transpose(1, 2)
    cos, sin = rope
    key_SGLE = rotate(key_SGLE, cos[:, :-1], sin[:, :-1])
    cache.update(key_SGLE, value_SGLE, attention.layer_idx)
    cache.length += normed_SLD.shape[1]
    return x_SLD[:, -1:], (cos[:, -1:], sin[:, -1:])


def _mask(
    attention: str, x_SLD: torch.Tensor, past: int, attends: torch.Tensor | None
) -> torch.Tensor | None:
    """What is added to the scores [S or 1, 1, Q, L].

    None where the attention kernel is causal by itself; that of sdpa is so only without a past.
    """
    length = x_SLD.shape[1]
    if attends is None:
        if "flash" in attention or (attention in ("sdpa", GROUPED) and (past == 0 or length == 1)):
            return None
        attends = torch.ones(length, past + length, dtype=torch.bool, device=x_SLD.device).tril(past)
    assert "flash" not in attention, "flash attention knows no mask but the causal one"
    attends_SQL = attends if attends.ndim == 3 else attends[None]
    # Added once, so that no layer has to turn it into numbers again.
    floor = torch.finfo(x_SLD.dtype).min if attention == "eager" else -math.inf
    return torch.zeros_like(attends_SQL, dtype=x_SLD.dtype).masked_fill_(~attends_SQL, floor)[:, None]
