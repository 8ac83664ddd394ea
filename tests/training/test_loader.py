"""Samples of any kind, brought to a device."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from research.nano.datasets.storylines import StoryBatches
from tempo.inference.engine import EMBEDDED
from tempo.modeling.loading import find_checkpoint, load_prompts
from tempo.training.data.loader import moved
from tempo.training.data.processor import SampleProcessor
from tempo.training.data.sources import SourceContext


def context() -> SourceContext:
    source = find_checkpoint(EMBEDDED)
    config = source.config
    processor = SampleProcessor(load_prompts(source), config, config.make_geometry(), 2.0, 8, 4, 4)
    return SourceContext(processor, "5", 6)


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
    batch = StoryBatches(context(), segments=(1, 2), questions=2, tokens=600)[5]
    there = list(_tensors(moved(batch, torch.device("meta"))))
    assert len(there) > 8
    assert {tensor.device.type for tensor in there} == {"meta"}
    assert [tensor.shape for tensor in there] == [tensor.shape for tensor in _tensors(batch)]
