"""The whole model: compressor, projector and decoder.

Shapes: see :mod:`tempo.modeling`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from .compressor import Compressor
from .config import TempoConfig
from .language_model import LanguageModel
from .projector import build_projector
from .vision_tower import VisionTower


class TempoNetwork(nn.Module):
    """What answers are computed with, whoever's modules it is made of.

    Attributes:
        model, lm_head: the decoder.
        compressor, projector: they make what it reads.
        generation_config: has the `eos_token_id`.
    """

    model: Any
    lm_head: nn.Module
    compressor: Compressor
    projector: nn.Module
    config: Any
    generation_config: Any
    device: Any
    dtype: Any

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


@dataclass(frozen=True)
class AnswerEnd:
    """The token, or the tokens, that end an answer; named as in transformers."""

    eos_token_id: int | list[int] | None


class CompressorNetwork(TempoNetwork):
    """The compressor alone: it watches, scores and compresses for a decoder that is elsewhere."""

    def __init__(self, config: Any, compressor: Compressor) -> None:
        super().__init__()
        self.config = config
        self.compressor = compressor

    @property
    def device(self) -> torch.device:
        return self.compressor.compression_tokens.device

    @property
    def dtype(self) -> torch.dtype:
        return self.compressor.compression_tokens.dtype


class PlainTempo(TempoNetwork):
    """A Tempo of the released kind in plain torch, for inference with `sdpa`.

    :class:`tempo.modeling.TempoQwenForCausalLM` has the same parameters under the same names.
    """

    config: TempoConfig

    def __init__(self, config: TempoConfig, answer_end: AnswerEnd) -> None:
        super().__init__()
        self.config = config
        self.generation_config = answer_end
        self.model = LanguageModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        parts = config.compressor()
        width = parts.text_config.hidden_size
        vlm = nn.Module()
        vlm.visual = VisionTower(parts.vision_config)
        vlm.language_model = LanguageModel(parts.text_config)
        self.compressor = Compressor(vlm, width=width, memory_tokens=config.num_compression_tokens)
        self.projector = build_projector(config.mm_projector_type, width, config.hidden_size)

    @property
    def device(self) -> torch.device:
        return self.compressor.compression_tokens.device

    @property
    def dtype(self) -> torch.dtype:
        return self.compressor.compression_tokens.dtype
