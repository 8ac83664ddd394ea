"""Samples of any kind, brought to a device."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor


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
