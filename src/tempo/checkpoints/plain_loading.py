"""Loading a checkpoint that has nothing unusual in it into plain torch, without transformers."""

from __future__ import annotations

from typing import Any

import torch

from tempo.networks.config import TempoConfig
from tempo.networks.meta_init import parameters_on_meta
from tempo.networks.tempo_network import AnswerEnd, PlainTempo
from tempo.processing.prompts import Prompts

from .checkpoint import (
    Checkpoint,
    CheckpointFiles,
    generation_values,
    load_prompts,
    naming,
    read_weights,
    with_config,
)
from .plain_config import is_plain_generation, plain_config


def load_plain(
    files: CheckpointFiles, *, device: torch.device, dtype: torch.dtype
) -> tuple[PlainTempo, Prompts] | None:
    """The model with its weights, and its prompts; None if only transformers can judge the checkpoint.

    Raises:
        TempoError: a part of the checkpoint is missing or damaged.
    """
    generation = generation_values(files.folder)
    config = plain_config(files.values)
    if config is None or not is_plain_generation(generation or {}):
        return None
    checkpoint = with_config(files, config)
    prompts = load_prompts(checkpoint)
    model = _empty(checkpoint, generation)
    read_weights(model, checkpoint, device=device, dtype=dtype)
    return model, prompts


def _empty(checkpoint: Checkpoint[TempoConfig], generation: dict[str, Any] | None) -> PlainTempo:
    config = checkpoint.config
    end = config.eos_token_id if generation is None else generation.get("eos_token_id")
    with naming(checkpoint.folder / "config.json"), parameters_on_meta():
        return PlainTempo(config, AnswerEnd(end))
