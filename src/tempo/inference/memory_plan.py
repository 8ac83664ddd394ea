"""How many segments fit through the compressor together, and what their key-value cache takes."""

from __future__ import annotations

from typing import Any

import torch

from tempo.devices import available_bytes

# Tokens of one batch beyond which nothing gets faster. Behind a cache few of them are new.
_ENOUGH_TOKENS = {"cpu": 1024, "cuda": 65536}
_ENOUGH_CACHED_TOKENS = {"cpu": 4096, "cuda": 65536}
# Share of the free memory that a batch's intermediate results may take.
_SHARE = 0.25


def cache_bytes(config: Any, tokens: int, dtype: torch.dtype) -> int:
    """What the keys and values of one segment of `tokens` tokens take."""
    text = config.text_config
    return text.num_hidden_layers * 2 * text.num_key_value_heads * text.head_dim * tokens * dtype.itemsize


def questions_per_watching(
    *, segments: int, memory_tokens: int, width: int, device: torch.device, dtype: torch.dtype
) -> int:
    """For how many questions at once a video is watched whose segments are not cached, at least one.

    All memory tokens of all segments are held for each, until the last segment has its relevance.
    """
    one = segments * memory_tokens * width * dtype.itemsize
    return max(1, int(_SHARE * available_bytes(device)) // one)


def segments_per_batch(
    config: Any,
    *,
    patches: int,
    tokens: int,
    frame_bytes: int,
    device: torch.device,
    dtype: torch.dtype,
    cached: bool = False,
) -> int:
    """How many segments go through the compressor in one batch, at least one.

    Args:
        patches: patches of one segment.
        tokens: tokens of one segment, with question and memory.
        frame_bytes: what the decoded frames of one segment take on the host.
        cached: only a few of the tokens are new; the others come from the cache.
    """
    vision, text = config.vision_config, config.text_config
    # The widest moment of a block: the residual, its norm, queries, keys and values (once more in float32),
    # the MLP.
    seen = patches * (12 * vision.hidden_size + 2 * vision.intermediate_size)
    read = tokens * (8 * text.hidden_size + 3 * text.intermediate_size)
    pixels = 4 * patches * vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    one = max(seen, read) * dtype.itemsize + 2 * cache_bytes(config, tokens, dtype) + 2 * pixels
    fits = int(_SHARE * available_bytes(device)) // one
    if frame_bytes:
        # One batch is being read while the next is being decoded and cut.
        fits = min(fits, int(_SHARE * available_bytes(torch.device("cpu"))) // (3 * (frame_bytes + pixels)))
    enough = (_ENOUGH_CACHED_TOKENS if cached else _ENOUGH_TOKENS).get(device.type, 16384) // tokens
    return max(1, min(fits, enough))
