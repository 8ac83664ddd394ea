"""Measuring a model on held-out data while it trains: which checkpoint is the best, and when to stop."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from tempo.errors import TempoError, UsageError

from .averages import Averages
from .config import ValidationConfig
from .data.dataset import ATTEMPTS, MixtureDataset, prefetch
from .distributed import DistributedContext
from .objective import Objective

LOWER_IS_BETTER = ("loss", "routing")  # of other figures, more is better


@dataclass
class BestCheckpoint:
    """Which validation was the best so far.

    Attributes:
        value: its figure; NaN before the first.
        first: that of the first validation, before anything was learnt.
        step: when it was.
        since: validations that followed it.
    """

    metric: str
    value: float = math.nan
    step: int = 0
    since: int = 0
    first: float = math.nan

    def improves(self, step: int, figures: dict[str, float]) -> bool:
        """Note a validation → whether it is the best.

        Raises:
            UsageError: it has no such figure.
        """
        if self.metric not in figures:
            there = ", ".join(sorted(figures))
            raise UsageError(f"validation.metric={self.metric}: unknown metric; choose from {there}")
        value = figures[self.metric]
        sign = 1 if self.metric in LOWER_IS_BETTER else -1
        if math.isnan(self.first):
            self.first = value
        better = math.isnan(self.value) or sign * value < sign * self.value
        if better:
            self.value, self.step, self.since = value, step, 0
        else:
            self.since += 1
        return better


@torch.no_grad()
def validate(
    objective: Objective,
    parallel: nn.Module,
    dataset: MixtureDataset,
    config: ValidationConfig,
    context: DistributedContext,
    *,
    micro_batch_size: int,
    num_workers: int,
    bfloat16: bool,
) -> dict[str, float]:
    """Every loss and metric of the objective on the first `samples` of held-out data, shared out to all
    processes.

    Raises:
        TempoError: so many samples in a row cannot be read.
    """
    # As many for each process: gathering the layers of a sharded model is a matter of all of them.
    count = max(context.size, config.samples - config.samples % context.size)
    mine = range(context.rank, count, context.size)
    averages = Averages()
    objective.eval()
    try:
        samples = list(prefetch(dataset, mine, num_workers=num_workers))
        unread = next((one.name for one in samples if one.example is None), None)
        error = TempoError(f"validation: {ATTEMPTS} samples in a row could not be read; the last: {unread}")
        context.raise_everywhere(error if unread is not None else None)
        examples = [one.example for one in samples]
        for start in range(0, len(examples), micro_batch_size):
            some = examples[start : start + micro_batch_size]
            with torch.autocast(context.device.type, torch.bfloat16, enabled=bfloat16):
                output = parallel(some)
            averages.add(output, objective.counts(some))
    finally:
        objective.train()
    figures, _ = averages.over(context)
    return figures
