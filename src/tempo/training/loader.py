"""Batches made ahead of the step that needs them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from torch.utils.data import DataLoader, Dataset

T = TypeVar("T")


def ahead(data: Dataset[T], start: int) -> Iterator[T]:
    """Items `start`, `start` + 1 … of `data`, made by one worker process up to three ahead."""
    count = len(data)  # type: ignore[arg-type]
    if start >= count:
        return
    yield from DataLoader(
        data,
        batch_size=None,
        sampler=range(start, count),
        num_workers=1,
        prefetch_factor=3,
        multiprocessing_context="fork",
    )
