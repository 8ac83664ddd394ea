"""What all objectives over batches of packed rows have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from research.nano.packing import PackedPrompts
from tempo.modeling import TempoQwenForCausalLM
from tempo.processing.prompts import Prompts
from tempo.training.objective import Objective, ObjectiveOutput


class PackedObjective(Objective):
    """The mean loss of whole batches. What `loss_of` says beside the loss goes into the log."""

    def __init__(self, model: TempoQwenForCausalLM, prompts: Prompts) -> None:
        super().__init__(model)
        self.prompts = PackedPrompts(prompts)

    def loss_of(self, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """The loss of one batch, and figures for the log; NaN for what the batch does not have."""
        raise NotImplementedError

    def forward(self, batches: Sequence[Any]) -> ObjectiveOutput:
        losses: list[Tensor] = []
        metrics: dict[str, tuple[float, float]] = {}
        for batch in batches:
            loss, figures = self.loss_of(moved(batch, self.model.device))
            losses.append(loss)
            for name, figure in figures.items():
                if math.isfinite(figure):
                    total, count = metrics.get(name, (0.0, 0.0))
                    metrics[name] = total + figure, count + 1
        return ObjectiveOutput({"loss": torch.stack(losses).sum()}, metrics, {})


def moved(item: Any, device: torch.device) -> Any:
    """`item` with all tensors of it, of its fields and of tuples in them on `device`."""
    if isinstance(item, Tensor):
        return item.to(device)
    if isinstance(item, tuple):
        return tuple(moved(one, device) for one in item)
    if is_dataclass(item) and not isinstance(item, type):
        return replace(
            item, **{field.name: moved(getattr(item, field.name), device) for field in fields(item)}
        )
    return item
