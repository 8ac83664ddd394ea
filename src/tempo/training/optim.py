"""Which parameters learn, and how fast."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from tempo.modeling import TempoQwenForCausalLM

from .config import PARTS, Optimizer, Rates

_PREFIXES = {
    "compressor.compression_tokens": "memory",
    "projector.": "projector",
    "compressor.vlm.visual.": "vision",
    "compressor.vlm.language_model.": "compressor",
    "model.": "decoder",
    "lm_head.": "decoder",
}


def part_of(name: str) -> str:
    """The part that a parameter belongs to."""
    return next(part for prefix, part in _PREFIXES.items() if name.startswith(prefix))


def set_trained(model: TempoQwenForCausalLM, rates: Rates) -> None:
    """Let the parts with a learning rate learn, and freeze the others."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(getattr(rates, part_of(name)) is not None)


def store_frozen(model: TempoQwenForCausalLM, dtype: torch.dtype) -> None:
    """Keep what does not learn in `dtype`. Tied parameters stay tied."""
    for parameter in model.parameters():
        if not parameter.requires_grad:
            parameter.data = parameter.data.to(dtype)


def groups(
    named: Iterable[tuple[str, nn.Parameter]], rates: Rates, optimizer: Optimizer
) -> list[dict[str, Any]]:
    """Parameter groups for AdamW, two a part: matrices decay; vectors, embeddings, memory tokens do not."""
    members: dict[tuple[str, bool], list[nn.Parameter]] = {}
    for name, parameter in named:
        if parameter.requires_grad:
            decays = parameter.ndim >= 2 and "embed" not in name and part_of(name) != "memory"
            members.setdefault((part_of(name), decays), []).append(parameter)
    return [
        {
            "params": members[part, decays],
            "part": part,
            "lr": getattr(rates, part),
            "weight_decay": optimizer.weight_decay if decays else 0.0,
        }
        for part in PARTS
        for decays in (True, False)
        if (part, decays) in members
    ]


def parameters_by_part(model: nn.Module) -> dict[str, tuple[int, int]]:
    """For every part how many parameters learn, and how many there are."""
    figures = dict.fromkeys(PARTS, (0, 0))
    for name, parameter in model.named_parameters():
        learning, every = figures[part_of(name)]
        size = parameter.numel()
        figures[part_of(name)] = learning + size * parameter.requires_grad, every + size
    return figures
