"""Samples of any kind, brought to a device."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from nano_context import context
from torch import Tensor

from research.nano.datasets.storylines import StoryBatches
from research.nano.objectives.packed_objective import moved


def _tensors(item: Any) -> Iterator[Tensor]:
    if isinstance(item, Tensor):
        yield item
    elif isinstance(item, tuple | list):
        for one in item:
            yield from _tensors(one)
    elif is_dataclass(item):
        for field in fields(item):
            yield from _tensors(getattr(item, field.name))


def test_every_tensor_of_a_batch_is_moved() -> None:
    batch = StoryBatches(context(seed=5), segments=(1, 2), questions=2, tokens=600)[5]
    there = list(_tensors(moved(batch, torch.device("meta"))))
    assert len(there) > 8
    assert {tensor.device.type for tensor in there} == {"meta"}
    assert [tensor.shape for tensor in there] == [tensor.shape for tensor in _tensors(batch)]
