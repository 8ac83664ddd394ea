"""The configuration of a Tempo checkpoint as one of transformers' classes."""

from __future__ import annotations

from copy import deepcopy

from transformers import Qwen3Config, Qwen3VLConfig

from tempo.checkpoints.checkpoint import MODEL_TYPE
from tempo.errors import TempoError
from tempo.networks.config import TempoFields


class TempoQwenConfig(TempoFields, Qwen3Config):
    """A Qwen3 decoder with a Qwen3-VL compressor in front of it.

    The fields of the decoder are Qwen3's own; the others are those of :class:`TempoFields`.
    """

    model_type = MODEL_TYPE

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
