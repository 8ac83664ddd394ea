"""Which parameters are trained, by which optimizer, and how fast."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tempo.modeling import TempoQwenForCausalLM

from .config import GROUPS, LearningRates, OptimizerConfig
from .muon import Muon
from .objective import Objective, group_of

MUON_REST = 1 / 3  # of a group's learning rate, for what AdamW updates beside Muon


def set_trained(model: TempoQwenForCausalLM, rates: LearningRates) -> None:
    """Train the groups with a learning rate, and freeze the others."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(getattr(rates, group_of(name)) is not None)


def store_frozen(model: TempoQwenForCausalLM, dtype: torch.dtype) -> None:
    """Keep frozen parameters in `dtype`. Tied parameters stay tied."""
    for parameter in model.parameters():
        if not parameter.requires_grad:
            parameter.data = parameter.data.to(dtype)


def parameter_groups(
    objective: Objective, rates: LearningRates, config: OptimizerConfig
) -> list[dict[str, Any]]:
    """Two groups for each group with a learning rate: matrices, which decay, and all else: vectors,
    embeddings, memory tokens."""
    members: dict[tuple[str, bool], list[nn.Parameter]] = {}
    muon = config.matrices == "muon"
    for name, parameter in objective.named_parameters():
        group = objective.group_of(name)
        if parameter.requires_grad and getattr(rates, group) is not None:
            matrix = parameter.ndim == 2 if muon else parameter.ndim >= 2
            matrix = matrix and "embed" not in name and group != "memory"
            members.setdefault((group, matrix), []).append(parameter)
    return [
        {
            "params": members[group, matrix],
            "group": group,
            "muon": muon and matrix,
            "lr": getattr(rates, group) * (MUON_REST if muon and not matrix else 1.0),
            "weight_decay": config.weight_decay if matrix else 0.0,
        }
        for group in GROUPS
        for matrix in (True, False)
        if (group, matrix) in members
    ]


class Optimizers:
    """AdamW, and Muon beside it where a recipe says so, used as one."""

    def __init__(self, groups: list[dict[str, Any]], config: OptimizerConfig) -> None:
        by_muon = [group for group in groups if group["muon"]]
        by_adamw = [group for group in groups if not group["muon"]]
        self.optimizers: list[torch.optim.Optimizer] = []
        if by_adamw:
            betas: Any = config.betas
            self.optimizers.append(torch.optim.AdamW(by_adamw, betas=betas, fused=True))
        if by_muon:
            self.optimizers.append(Muon(by_muon))
        self._rates = [[group["lr"] for group in one.param_groups] for one in self.optimizers]

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Everything that is trained."""
        return [p for one in self.optimizers for group in one.param_groups for p in group["params"]]

    def step(self, scale: float) -> None:
        """One step at `scale` times the learning rates; the gradients are gone then."""
        for optimizer, rates in zip(self.optimizers, self._rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * scale
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def release(self) -> None:
        """Let go of the memory of their state and of all gradients; no step follows."""
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
            optimizer.state.clear()
