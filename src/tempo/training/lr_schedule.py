"""How the learning rate moves through a run."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class LRSchedule:
    """Linear warm-up, constant, and a square-root fall to zero over the last `cooldown` share of the
    steps."""

    steps: int
    warmup: int
    cooldown: float = 0.4

    def scale(self, step: int) -> float:
        """Factor on the learning rate at `step`."""
        left = (self.steps - step) / max(1.0, self.steps * self.cooldown)
        return min(1.0, (step + 1) / max(1, self.warmup), math.sqrt(max(left, 0.0)) if left < 1 else 1.0)
