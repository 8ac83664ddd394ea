"""The whole model: compressor, projector and decoder.

Legend: S segments, k kept memory tokens, D the compressor's width, N tokens of the storyline, H the decoder's
width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import Qwen3ForCausalLM

from .compressor import Compressor
from .configuration import TempoQwenConfig
from .loading import Source, load_model
from .pretrained import from_pretrained
from .projector import build_projector


class TempoQwenForCausalLM(Qwen3ForCausalLM):
    """`model` and `lm_head` are the decoder (Qwen3), `compressor` watches, `projector` joins the two."""

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

    def storyline(
        self,
        before_ids: Sequence[int],
        moments: Sequence[tuple[Sequence[int], torch.Tensor]],
        after_ids: Sequence[int],
    ) -> torch.Tensor:
        """What the decoder reads [N, H]: the prompt, and for every moment its timestamp and its kept tokens.

        Args:
            moments: timestamp ids and memory tokens [k, D] of each segment.
        """
        embed = self.model.embed_tokens
        ids = [*before_ids, *(i for stamp, _ in moments for i in stamp), *after_ids]
        text_NH = embed(torch.tensor(ids, device=embed.weight.device))
        memory_kH = self.projector(torch.cat([memory for _, memory in moments])).to(text_NH.dtype)
        # Split at once: backwards, every slice of its own would be filled up to the whole with zeros.
        lengths = [len(before_ids), *(len(stamp) for stamp, _ in moments), len(after_ids)]
        before_NH, *stamps, after_NH = text_NH.split(lengths)
        kept = memory_kH.split([len(memory) for _, memory in moments])
        told = (part for moment in zip(stamps, kept, strict=True) for part in moment)
        return torch.cat([before_NH, *told, after_NH])

    @classmethod
    def from_pretrained(cls, path: Any, *args: Any, **kwargs: Any) -> TempoQwenForCausalLM:
        """Load a checkpoint of either layout; see :func:`tempo.modeling.pretrained.from_pretrained`."""
        return from_pretrained(cls, path, *args, **kwargs)

    @classmethod
    def load(
        cls,
        source: Source,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        attention: str = "sdpa",
    ) -> TempoQwenForCausalLM:
        """Read the weights of a checkpoint; see :func:`tempo.modeling.loading.load_model`."""
        return load_model(cls, source, device=device, dtype=dtype, attention=attention)
