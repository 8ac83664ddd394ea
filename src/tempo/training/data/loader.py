"""Batches made ahead of the step that needs them, and brought to where it is taken."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tempo.host_memory import allow_many_open_files

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
        cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
        workers = max(1, cores - 1)
        allow_many_open_files()  # every tensor that waits is one
    batches = DataLoader(
        data,
        batch_size=None,
        sampler=range(start, count),
        num_workers=workers,
        prefetch_factor=3,
        multiprocessing_context="fork" if sys.platform == "linux" else "spawn",
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
