"""How much memory there is, and how many segments go through the compressor together."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import Qwen3VLConfig

from tempo.host_memory import free_bytes, peak_resident_bytes

# Tokens of one batch beyond which nothing gets faster. Reading on behind kept tokens, few of them are new.
_ENOUGH_TOKENS = {"cpu": 1024, "cuda": 65536}
_ENOUGH_KEPT_TOKENS = {"cpu": 4096, "cuda": 65536}
# Share of the free memory that a batch's intermediate results may take.
_SHARE = 0.25


def available_bytes(device: torch.device) -> int:
    """Memory that can still be taken on a device; on the host also within the limits of a container."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free = free_bytes()
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        if (most := _read_number(limit)) is not None and (taken := _read_number(used)) is not None:
            free = min(free, max(0, most - taken))
    return free


def peak_bytes(device: torch.device) -> int:
    """The most memory that was in use at once: on a GPU by tensors, on the host by this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_resident_bytes()


def kept_bytes(config: Qwen3VLConfig, tokens: int, dtype: torch.dtype) -> int:
    """What the keys and values of one segment of `tokens` tokens take."""
    text = config.text_config
    return text.num_hidden_layers * 2 * text.num_key_value_heads * text.head_dim * tokens * dtype.itemsize


def segments_together(
    config: Qwen3VLConfig,
    *,
    patches: int,
    tokens: int,
    frame_bytes: int,
    device: torch.device,
    dtype: torch.dtype,
    kept: bool = False,
) -> int:
    """How many segments go through the compressor in one batch, at least one.

    Args:
        patches: patches of one segment.
        tokens: tokens of one segment, with question and memory.
        frame_bytes: what the decoded frames of one segment take on the host.
        kept: most of the tokens were read before.
    """
    vision, text = config.vision_config, config.text_config
    # The widest moment of a block: the residual, its norm, queries, keys and values (once more in float32),
    # the MLP.
    seen = patches * (12 * vision.hidden_size + 2 * vision.intermediate_size)
    read = tokens * (8 * text.hidden_size + 3 * text.intermediate_size)
    pixels = 4 * patches * vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    one = max(seen, read) * dtype.itemsize + 2 * kept_bytes(config, tokens, dtype) + 2 * pixels
    fits = int(_SHARE * available_bytes(device)) // one
    if frame_bytes:
        # One batch is being read while the next is being decoded and cut.
        fits = min(fits, int(_SHARE * available_bytes(torch.device("cpu"))) // (3 * (frame_bytes + pixels)))
    enough = (_ENOUGH_KEPT_TOKENS if kept else _ENOUGH_TOKENS).get(device.type, 16384) // tokens
    return max(1, min(fits, enough))


def _read_number(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):  # no such limit, or "max"
        return None
