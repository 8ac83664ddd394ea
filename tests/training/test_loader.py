"""Batches that are made ahead, against those made here and now."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AutoTokenizer

from research.nano.config import SYSTEM_PROMPT
from research.nano.datasets.storylines import StoryBatch, StoryBatches
from research.nano.packing import Wording
from tempo.inference.engine import EMBEDDED
from tempo.training.data.loader import ahead, moved


def _data() -> StoryBatches:
    wording = Wording(AutoTokenizer.from_pretrained(EMBEDDED), SYSTEM_PROMPT)
    return StoryBatches(wording, steps=6, seed=5, segments=(1, 2), questions=2, tokens=600)


def _tensors(item: Any) -> Iterator[Tensor]:
    if isinstance(item, Tensor):
        yield item
    elif isinstance(item, tuple | list):
        for one in item:
            yield from _tensors(one)
    elif is_dataclass(item):
        for field in fields(item):
            yield from _tensors(getattr(item, field.name))


def test_batches_come_in_their_order() -> None:
    data = _data()
    found: list[StoryBatch] = list(ahead(data, 3, torch.device("cpu")))
    assert len(found) == 3
    for batch, again in zip(found, (data[n] for n in (3, 4, 5)), strict=True):
        assert batch.story.kinds == again.story.kinds
        assert all(torch.equal(a, b) for a, b in zip(_tensors(batch), _tensors(again), strict=True))


def test_every_tensor_of_a_batch_is_moved() -> None:
    batch = _data()[5]
    there = list(_tensors(moved(batch, torch.device("meta"))))
    assert len(there) > 8
    assert {tensor.device.type for tensor in there} == {"meta"}
    assert [tensor.shape for tensor in there] == [tensor.shape for tensor in _tensors(batch)]
