"""The whole model: compressor, projector and decoder.

Shapes: see :mod:`tempo.modeling`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import Qwen3ForCausalLM

from .compressor import Compressor
from .configuration import TempoQwenConfig
from .loading import Checkpoint, load_model
from .pretrained import from_pretrained
from .projector import build_projector


class TempoQwenForCausalLM(Qwen3ForCausalLM):
    """`model` and `lm_head` are the decoder (Qwen3); `compressor` and `projector` make what it reads."""

    config_class = TempoQwenConfig
    config: TempoQwenConfig

    def __init__(self, config: TempoQwenConfig) -> None:
        super().__init__(config)
        attention = config._attn_implementation or "sdpa"
        compressor = config.compressor()
        self.compressor = Compressor(
            compressor, memory_tokens=config.num_compression_tokens, attention=attention
        )
        self.projector = build_projector(
            config.mm_projector_type, compressor.text_config.hidden_size, config.hidden_size
        )

    def decoder_inputs(
        self,
        before_ids: Sequence[int],
        segments: Sequence[tuple[Sequence[int], torch.Tensor]],
        after_ids: Sequence[int],
    ) -> torch.Tensor:
        """The storyline [L, U]: the prompt around every segment's timestamp and kept memory tokens, in order.

        Args:
            before_ids, after_ids: the prompt before and behind the video.
            segments: timestamp ids and memory tokens [k, D] of each.
        """
        embed = self.model.embed_tokens
        ids = [*before_ids, *(i for stamp, _ in segments for i in stamp), *after_ids]
        text_LU = embed(torch.tensor(ids, device=embed.weight.device))
        memory_kU = self.projector(torch.cat([memory_kD for _, memory_kD in segments])).to(text_LU.dtype)
        # Split at once: backwards, every slice of its own would be filled up to the whole with zeros.
        lengths = [len(before_ids), *(len(stamp) for stamp, _ in segments), len(after_ids)]
        before_LU, *stamps, after_LU = text_LU.split(lengths)
        kept = memory_kU.split([len(memory_kD) for _, memory_kD in segments])
        storyline = (part for segment in zip(stamps, kept, strict=True) for part in segment)
        return torch.cat([before_LU, *storyline, after_LU])

    @classmethod
    def from_pretrained(cls, path: Any, *args: Any, **kwargs: Any) -> TempoQwenForCausalLM:
        """Load a checkpoint of either layout; see :func:`tempo.modeling.pretrained.from_pretrained`."""
        return from_pretrained(cls, path, *args, **kwargs)

    @classmethod
    def load(
        cls,
        checkpoint: Checkpoint,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        attention: str = "sdpa",
    ) -> TempoQwenForCausalLM:
        """Read the weights of a checkpoint; see :func:`tempo.modeling.loading.load_model`."""
        return load_model(cls, checkpoint, device=device, dtype=dtype, attention=attention)
