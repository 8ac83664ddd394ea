"""Losses and metrics of many micro-batches on several processes, averaged as if they were one batch."""

from __future__ import annotations

from collections.abc import Mapping

from .distributed import DistributedContext
from .objective import ObjectiveOutput


class Averages:
    """Adds up what an objective says of one micro-batch after the other."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._counts: dict[str, float] = {}
        self._totals: dict[str, float] = {}

    def add(self, output: ObjectiveOutput, counts: Mapping[str, float]) -> None:
        """Add a micro-batch; `counts` is over what its losses are averaged."""
        pairs = {name: (loss.item(), counts[name]) for name, loss in output.losses.items()}
        for name, (total, count) in (pairs | output.metrics).items():
            self._sums[name] = self._sums.get(name, 0.0) + total
            self._counts[name] = self._counts.get(name, 0.0) + count
        for name, total in output.totals.items():
            self._totals[name] = self._totals.get(name, 0.0) + total

    def over(self, context: DistributedContext) -> tuple[dict[str, float], dict[str, float]]:
        """Averages by name, without those of nothing, and totals by name, of all processes together."""
        sums, counts, totals = map(context.sum_by_name, (self._sums, self._counts, self._totals))
        return {name: total / counts[name] for name, total in sums.items() if counts[name]}, totals
