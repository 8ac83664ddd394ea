"""The published size with random weights, and a tiny one of the same form: what benchmarks compute with.

Segments are those of a 16:9 video, eight frames at 512×288, with a prompt and a question as long as the
published ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn
from transformers import Qwen3VLConfig

from tempo.modeling.tempo_qwen import build_compressor
from tempo.networks.compressor import Compressor
from tempo.networks.config import LanguageConfig
from tempo.networks.language_model import LanguageModel
from tempo.networks.meta_init import parameters_on_meta
from tempo.processing.image_processor import Grid
from tempo.processing.prompts import Spans

Model = TypeVar("Model", bound=nn.Module)

CPU = torch.device("cpu")
MEMORY_TOKENS = 128
GRID: Grid = (4, 18, 32)
PROMPT, TAG, VISUAL, QUESTION = 20, 18, 144, 30  # tokens: before the first pair, between pairs, of a pair
DIMENSIONS: dict[str, Any] = {
    "text_config": {
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 151936,
        "tie_word_embeddings": True,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 5e6,
            "mrope_section": [24, 20, 20],
            "mrope_interleaved": True,
        },
    },
    "vision_config": {
        "depth": 24,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_heads": 16,
        "out_hidden_size": 2048,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "num_position_embeddings": 2304,
        "deepstack_visual_indexes": [5, 11, 17],
    },
    "tie_word_embeddings": True,
}


@dataclass(frozen=True)
class SegmentInputs:
    """The inputs of segments, as :meth:`Compressor.prefill` takes them."""

    pixels_SPC: torch.Tensor
    ids_SL: torch.Tensor
    spans: Spans


def blank_segments(
    device: torch.device = CPU, dtype: torch.dtype = torch.float32, count: int = 1
) -> SegmentInputs:
    """Segments of blank frames with a prompt of the usual length: 90 text tokens and 576 visual tokens."""
    starts = [PROMPT + pair * (VISUAL + TAG) for pair in range(GRID[0])]
    t, h, w = GRID
    return SegmentInputs(
        torch.zeros(count, t * h * w, 3 * 2 * 16 * 16, device=device, dtype=dtype),
        torch.zeros(count, starts[-1] + VISUAL + 16, dtype=torch.long, device=device),
        tuple((start, start + VISUAL) for start in starts),
    )


@dataclass(frozen=True)
class Size:
    """Dimensions of a model: the compressor's as a Qwen3-VL configuration has them, and the decoder's."""

    compressor: dict[str, Any]
    decoder: LanguageConfig


def _decoder(**dimensions: int) -> LanguageConfig:
    return LanguageConfig(
        **dimensions,  # type: ignore[arg-type]
        head_dim=128,
        max_position_embeddings=262144,
        rms_norm_eps=1e-6,
        rope_theta=5e6,
    )


PUBLISHED = Size(
    DIMENSIONS,
    _decoder(
        vocab_size=151936,
        hidden_size=2560,
        intermediate_size=9728,
        num_hidden_layers=36,
        num_attention_heads=32,
        num_key_value_heads=8,
    ),
)
TINY = Size(
    {
        "text_config": DIMENSIONS["text_config"]
        | {
            "hidden_size": 64,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "vocab_size": 16,
        },
        "vision_config": DIMENSIONS["vision_config"]
        | {
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_heads": 2,
            "out_hidden_size": 64,
            "deepstack_visual_indexes": [0],
        },
        "tie_word_embeddings": True,
    },
    _decoder(
        vocab_size=64,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
    ),
)


def build(dtype: torch.dtype, device: torch.device = CPU, size: Size = PUBLISHED) -> Compressor:
    """A compressor with random weights."""
    return _filled(empty_compressor(size), dtype, device)


def build_decoder(
    dtype: torch.dtype, device: torch.device = CPU, size: Size = PUBLISHED
) -> tuple[LanguageModel, nn.Linear]:
    """A decoder with random weights, and its output head."""
    return _filled(empty_decoder(size), dtype, device), _filled(empty_head(size), dtype, device)


def empty_compressor(size: Size = PUBLISHED) -> Compressor:
    """A compressor whose parameters have shapes and no memory."""
    with parameters_on_meta():
        return build_compressor(Qwen3VLConfig(**size.compressor), memory_tokens=MEMORY_TOKENS)


def empty_decoder(size: Size = PUBLISHED) -> LanguageModel:
    """A decoder likewise."""
    with parameters_on_meta():
        return LanguageModel(size.decoder)


def empty_head(size: Size = PUBLISHED) -> nn.Linear:
    """Its output head likewise."""
    return nn.Linear(size.decoder.hidden_size, size.decoder.vocab_size, bias=False, device="meta")


def _filled(model: Model, dtype: torch.dtype, device: torch.device) -> Model:
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            values = torch.empty(parameter.shape, dtype=dtype, device=device)
            values = values.fill_(1.0) if values.ndim == 1 else values.uniform_(-0.03, 0.03)
            module.register_parameter(name, nn.Parameter(values, requires_grad=False))
    return model.to(device).eval()
