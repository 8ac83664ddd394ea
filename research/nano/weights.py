"""A model's weights, read to be trained or changed, and written as it answers."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import torch

from tempo.modeling import TempoQwenForCausalLM
from tempo.modeling.loading import find_checkpoint
from tempo.modeling.saving import save_model


def load_trained(folder: str | Path, device: str | torch.device = "cpu") -> TempoQwenForCausalLM:
    """The model in `folder` in float32, all of it ready to be trained.

    Raises:
        TempoError: a part of it is missing or damaged.
    """
    model = TempoQwenForCausalLM.load(
        find_checkpoint(folder), device=torch.device(device), dtype=torch.float32
    )
    return model.requires_grad_(True).train()


def save_weights(model: TempoQwenForCausalLM, folder: Path, tokenizer: str | Path) -> None:
    """Write `model` in bfloat16, in one folder."""
    save_model(deepcopy(model).to("cpu", torch.bfloat16), folder, tokenizer=tokenizer)


def join(out: Path, *, compressor: str, decoder: str) -> None:
    """Write the compressor, memory tokens and projector of one model and the decoder of another into the
    folder model of `out`. Both began from the same words, so what the one writes the other reads."""
    model = load_trained(compressor)
    model.model.load_state_dict(load_trained(decoder).model.state_dict())
    save_model(model, out / "model", tokenizer=compressor)
