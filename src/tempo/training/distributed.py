"""One process or several, as the environment says that torchrun or accelerate set."""

from __future__ import annotations

import atexit
import gc
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from tempo.devices import pick_device
from tempo.errors import TempoError, UsageError


@dataclass(frozen=True)
class DistributedContext:
    """The processes of a run, and which of them this is.

    Attributes:
        rank: this one's number; 0 writes the log, the checkpoints and the model.
        size: how many there are.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def sum(self, *values: float | Tensor) -> list[float]:
        """Each value summed over all processes, in float64."""
        sums = torch.tensor([float(value) for value in values], dtype=torch.float64)
        if self.size > 1:
            sums = sums.to(self.device)
            dist.all_reduce(sums)
        return sums.tolist()

    def sum_by_name(self, values: Mapping[str, float]) -> dict[str, float]:
        """The values of each name summed over all processes; not all of them need to have it."""
        sums: dict[str, float] = {}
        for some in self.gather([dict(values)]):
            for name, value in some.items():
                sums[name] = sums.get(name, 0.0) + value
        return sums

    def max(self, value: int) -> int:
        """The largest value that any process has."""
        most = torch.tensor(value)
        if self.size > 1:
            most = most.to(self.device)
            dist.all_reduce(most, dist.ReduceOp.MAX)
        return int(most)

    def gather(self, values: Iterable[Any]) -> list[Any]:
        """The values of all processes, in order."""
        values = list(values)
        if self.size == 1:
            return values
        gathered: list[Any] = [None] * self.size
        dist.all_gather_object(gathered, values)
        return [value for some in gathered for value in some]

    def raise_everywhere(self, error: TempoError | None) -> None:
        """Raise `error` in the process that has one, and its message in the others, so that all end."""
        messages = self.gather([] if error is None else [str(error)])
        if error is not None:
            raise error
        if messages:
            raise TempoError(messages[0])


@contextmanager
def distributed_context(device: str) -> Iterator[DistributedContext]:
    """Join the others, where there are others, for as long as the block runs.

    Raises:
        TempoError: the device is not there, or there are more processes than GPUs.
    """
    size, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    local = int(os.environ.get("LOCAL_RANK", 0))
    if size > 1 and device in ("auto", "cuda") and torch.cuda.is_available():
        if local >= torch.cuda.device_count():
            raise TempoError(
                f"process {local} of this machine has no GPU; start at most {torch.cuda.device_count()}"
            )
        device = f"cuda:{local}"
    chosen = pick_device("cpu" if size > 1 and device == "auto" else device)
    if size == 1:
        yield DistributedContext(0, 1, chosen)
        return
    if "MASTER_ADDR" not in os.environ:
        raise UsageError("WORLD_SIZE is set but not MASTER_ADDR; start the processes with torchrun")
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    # The group ends with the last that knows it, and sharded layers know each other in cycles, after an error
    # too. Threads of it that outlive the interpreter abort it when they let go of a tensor
    # (pytorch/pytorch#190489).
    atexit.register(gc.collect)
    try:
        yield DistributedContext(rank, size, chosen)
    finally:
        dist.destroy_process_group()
