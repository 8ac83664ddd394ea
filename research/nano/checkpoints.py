"""A model to go on training, from a folder of weights and from the checkpoints of runs on its parts."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from tempo.modeling import TempoQwenForCausalLM
from tempo.modeling.loading import find_checkpoint


def load_trained(folder: str | Path, device: str | torch.device = "cpu") -> TempoQwenForCausalLM:
    """The model in `folder` in float32, all of it ready to learn.

    Raises:
        TempoError: a part of it is missing or damaged.
    """
    model = TempoQwenForCausalLM.load(
        find_checkpoint(folder), device=torch.device(device), dtype=torch.float32
    )
    return model.requires_grad_(True).train()


def restore(module: nn.Module, run: Path) -> None:
    """Give `module` the weights of the last checkpoint of the run in `run`, in which it was trained as it
    is."""
    module.load_state_dict(torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)["module"])
