"""The whole model as one of transformers' classes: for training, and for what its own modules know more of.

Shapes: see :mod:`tempo.modeling`.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface, Qwen3ForCausalLM, Qwen3VLConfig, Qwen3VLModel

from tempo.checkpoints.checkpoint import Checkpoint
from tempo.networks.attention import GROUPED, grouped_sdpa
from tempo.networks.compressor import Compressor
from tempo.networks.projector import build_projector
from tempo.networks.tempo_network import TempoNetwork

from .configuration import TempoQwenConfig
from .loading import load_model
from .pretrained import from_pretrained

AttentionInterface.register(GROUPED, grouped_sdpa)


class TempoQwenForCausalLM(TempoNetwork, Qwen3ForCausalLM):
    """`model` and `lm_head` are the decoder (Qwen3); `compressor` and `projector` make what it reads."""

    config_class = TempoQwenConfig
    config: TempoQwenConfig

    def __init__(self, config: TempoQwenConfig) -> None:
        super().__init__(config)
        compressor = config.compressor()
        self.compressor = build_compressor(
            compressor,
            memory_tokens=config.num_compression_tokens,
            attention=config._attn_implementation or "sdpa",
        )
        self.projector = build_projector(
            config.mm_projector_type, compressor.text_config.hidden_size, config.hidden_size
        )

    @classmethod
    def from_pretrained(cls, path: Any, *args: Any, **kwargs: Any) -> TempoQwenForCausalLM:
        """Load a checkpoint of either layout; see :func:`tempo.modeling.pretrained.from_pretrained`."""
        return from_pretrained(cls, path, *args, **kwargs)

    @classmethod
    def load(
        cls,
        checkpoint: Checkpoint[TempoQwenConfig],
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        attention: str = "sdpa",
    ) -> TempoQwenForCausalLM:
        """Read the weights of a checkpoint; see :func:`tempo.modeling.loading.load_model`."""
        return load_model(cls, checkpoint, device=device, dtype=dtype, attention=attention)


def build_compressor(config: Qwen3VLConfig, *, memory_tokens: int, attention: str = "sdpa") -> Compressor:
    """A compressor of transformers' modules, with its first values."""
    # Not by `_from_config`, which for the while sets the default dtype of the whole process.
    config._attn_implementation = attention
    vlm = Qwen3VLModel(config)
    if attention == "sdpa":
        vlm.language_model.config._attn_implementation = GROUPED
    return Compressor(vlm, width=config.text_config.hidden_size, memory_tokens=memory_tokens)
