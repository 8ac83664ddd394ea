"""Batches made ahead of the step that needs them, and brought to where it is taken."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

T = TypeVar("T")


def ahead(data: Dataset[T], start: int, device: torch.device) -> Iterator[T]:
    """Items `start`, `start` + 1 … of `data` on `device`, up to three made ahead by each worker process.

    A step on a CPU takes longer than its batch, and wants the cores; for one on a GPU all but one make
    batches."""
    count = len(data)  # type: ignore[arg-type]
    if start >= count:
        return
    workers = 1
    if device.type != "cpu":
        workers = max(1, len(os.sched_getaffinity(0)) - 1)
        # Every tensor that waits is an open file.
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    batches = DataLoader(
        data,
        batch_size=None,
        sampler=range(start, count),
        num_workers=workers,
        prefetch_factor=3,
        multiprocessing_context="fork",
    )
    for batch in batches:
        yield moved(batch, device)


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
