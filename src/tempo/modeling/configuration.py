"""The configuration of a Tempo checkpoint: the decoder's, and what else travels with the weights."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from transformers import Qwen3Config, Qwen3VLConfig

from tempo.errors import TempoError
from tempo.processing.image_processor import Geometry
from tempo.processing.prompts import Wording

SYNTHETIC = "synthetic"  # trained_on of a model that has seen nothing but videos that tempo generates


class TempoQwenConfig(Qwen3Config):
    """A Qwen3 decoder with a Qwen3-VL compressor in front of it.

    The fields of the decoder are Qwen3's own. `mm_*`, `num_compression_tokens`, `visual_token_budget` and
    `tokenizer_model_max_length` are spelled as in published checkpoints; the rest is tempo's, and a published
    checkpoint, which lacks it, gets the published values.
    """

    model_type = "tempo_qwen"

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
        return min(
            self.max_position_embeddings, self.tokenizer_model_max_length or self.max_position_embeddings
        )

    def compressor(self) -> Qwen3VLConfig:
        """The compressor's configuration.

        Raises:
            TempoError: this is a published checkpoint's configuration and its base has not been looked up.
        """
        if self.compressor_config is None:
            raise TempoError(
                "config.json: no compressor_config; load the checkpoint together with its base model"
            )
        values = deepcopy(self.compressor_config)
        for part in (values, values.get("text_config"), values.get("vision_config")):
            if isinstance(part, dict):
                for name in ("dtype", "torch_dtype"):  # what a base was stored in plays no part
                    part.pop(name, None)
        return Qwen3VLConfig(**values)

    def make_geometry(self) -> Geometry:
        """How this checkpoint cuts frames into patches; the patch sizes are its vision tower's."""
        vision: Any = self.compressor().vision_config
        sizes = {
            "patch_size": vision.patch_size,
            "frames_per_patch": vision.temporal_patch_size,
            "merge_size": vision.spatial_merge_size,
        }
        return Geometry.from_dict(sizes | (self.geometry or {}))

    def make_wording(self) -> Wording:
        """The sentences that this checkpoint was trained with."""
        return Wording.from_dict(self.prompts or {})
