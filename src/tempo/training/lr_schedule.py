"""The learning-rate schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class LRSchedule:
    """Linear warm-up, constant, and a square-root fall to zero over the last `decay_ratio` of the
    steps."""

    steps: int
    warmup_steps: int
    decay_ratio: float = 0.4

    def scale(self, step: int) -> float:
        """Factor on the learning rate at `step`."""
        left = (self.steps - step) / max(1.0, self.steps * self.decay_ratio)
        return min(
            1.0, (step + 1) / max(1, self.warmup_steps), math.sqrt(max(left, 0.0)) if left < 1 else 1.0
        )
