"""What the networks are built from, and what else of a configuration travels with the weights.

The fields are named as in transformers, so that functions take either's configurations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from tempo.processing.image_processor import Geometry
from tempo.processing.prompts import Wording

from .attention import GROUPED

SYNTHETIC = "synthetic"  # trained_on of a model that has seen nothing but videos that tempo generates


@dataclass(kw_only=True)
class TempoFields:
    """The fields that a Tempo checkpoint adds to its decoder's configuration.

    `mm_*`, `num_compression_tokens`, `visual_token_budget` and `tokenizer_model_max_length` are spelled as in
    published checkpoints; the rest is tempo's, and a published checkpoint, which lacks it, gets the published
    values.
    """

    # The Qwen3-VL configuration as a dictionary. None: it has to come from the base model.
    compressor_config: dict | None = None
    # Memory tokens that the compressor writes for one segment.
    num_compression_tokens: int = 128
    # linear or mlpNx_gelu.
    mm_projector_type: str = "linear"
    # Names or folders of the base model; only the first is read.
    mm_vision_tower_aux_list: list | None = None
    # Tokens that a segment keeps at the least.
    min_tokens: int = 4
    # Memory tokens that a whole video keeps at the most, unless a question says otherwise.
    visual_token_budget: int = 8192
    # Frames of one segment.
    segment_frames: int = 8
    # Sampling: frames a second, and the least and the most frames of one video.
    fps: float = 2.0
    min_frames: int = 4
    max_frames: int = 1024
    # The decoder's context in tokens, where it is shorter than max_position_embeddings.
    tokenizer_model_max_length: int | None = None
    # Fields of `Geometry` and `Wording` (tempo.processing) that differ from the published ones.
    geometry: dict | None = None
    prompts: dict | None = None
    # What it knows, where that is not videos of every kind: SYNTHETIC, or None.
    trained_on: str | None = None
    # Relevance of the best segment below which nothing in a video counts as what was looked for. Where nobody
    # has measured it, a model has to be all but certain of its No.
    relevance_floor: float = 0.01

    @property
    def context(self) -> int:
        """How many tokens the decoder can read and write together."""
        longest: int = self.max_position_embeddings  # type: ignore[attr-defined]
        return min(longest, self.tokenizer_model_max_length or longest)

    def compressor(self) -> Any:
        """The compressor's configuration, with `text_config` and `vision_config`."""
        raise NotImplementedError

    def make_geometry(self) -> Geometry:
        """How this checkpoint cuts frames into patches; the patch sizes are its vision tower's."""
        vision = self.compressor().vision_config
        sizes = {
            "patch_size": vision.patch_size,
            "frames_per_patch": vision.temporal_patch_size,
            "merge_size": vision.spatial_merge_size,
        }
        return Geometry.from_dict(sizes | (self.geometry or {}))

    def make_wording(self) -> Wording:
        """The sentences that this checkpoint was trained with."""
        return Wording.from_dict(self.prompts or {})


@dataclass(kw_only=True)
class LanguageConfig:
    """A language model of the Qwen3 kind: silu, no biases, full attention, default rotary positions."""

    _attn_implementation: ClassVar[str] = GROUPED

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    rms_norm_eps: float
    rope_theta: float
    mrope_section: tuple[int, int, int] | None = None  # None: positions count in one direction


@dataclass(kw_only=True)
class VisionConfig:
    """A vision tower of the Qwen3-VL kind, with gelu_pytorch_tanh."""

    depth: int
    hidden_size: int
    intermediate_size: int
    num_heads: int
    in_channels: int
    patch_size: int
    temporal_patch_size: int
    spatial_merge_size: int
    out_hidden_size: int
    num_position_embeddings: int
    deepstack_visual_indexes: list[int]


@dataclass(kw_only=True)
class CompressorConfig:
    """Both halves of a Qwen3-VL."""

    text_config: LanguageConfig
    vision_config: VisionConfig


@dataclass(kw_only=True)
class TempoConfig(TempoFields, LanguageConfig):
    """A whole Tempo model: the decoder's fields, its own, and the compressor's configuration."""

    compressor_parts: CompressorConfig
    tie_word_embeddings: bool
    eos_token_id: int | list[int] | None = None

    def compressor(self) -> CompressorConfig:
        return self.compressor_parts
