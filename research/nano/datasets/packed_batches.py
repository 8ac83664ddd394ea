"""What all batches of packed rows have in common: they are samples of `tempo train`."""

from __future__ import annotations

from typing import Any

from research.nano.packing import PackedPrompts
from tempo.training.data.sources import SourceContext


class PackedBatches:
    """Batches without end: batch n is always the same for the same seed.

    A sample is a whole batch, so recipes set `global_batch_size` to the number of processes.
    """

    size = None
    generated = True

    def __init__(self, context: SourceContext) -> None:
        self.prompts = PackedPrompts(context.processor.prompts)
        self.seed, self.steps = context.seed, context.steps

    def name(self, index: int) -> str:
        return f"batch:{index}"

    def read(self, index: int, seed: str) -> Any:
        """Batch `index`; `seed` is that of the source."""
        return self[index]

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError
