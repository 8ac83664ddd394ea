"""Bicubic resizing of 8-bit frames in whole numbers, on any device: PIL's result, to the bit.

PIL weighs pixels with fixed-point numbers of 22 bits and rounds behind each direction, columns first. Whole
numbers add up to the same sum in any order, so a GPU finds what the published code finds on the host, where a
resizing in floating point is off by a level or two. On the host PIL itself is faster.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch

_BITS = 22  # of a weight's fraction; a sum of weighted 8-bit pixels fits into 32 bits
_SUPPORT = 2.0  # pixels of the wider of the two grids, to each side


def resize(frames_IHWC: torch.Tensor, width: int, height: int) -> torch.Tensor:
    """Resize frames as ``PIL.Image.resize((width, height), BICUBIC)`` does each of them.

    Args:
        frames_IHWC: uint8 on any device.

    Returns:
        uint8 [I, height, width, C] on the same device.
    """
    directions = [(2, width), (1, height)]
    if _is_pole(frames_IHWC.shape[2], frames_IHWC.shape[1]) and height < frames_IHWC.shape[1]:
        directions.reverse()
    for dim, size in directions:
        if frames_IHWC.shape[dim] != size:
            frames_IHWC = _resize_direction(frames_IHWC, dim, size)
    return frames_IHWC


def _is_pole(width: int, height: int) -> bool:
    """Whether PIL shrinks the height of such a picture before its width."""
    return height > 100 * width


def _resize_direction(frames_IHWC: torch.Tensor, dim: int, size: int) -> torch.Tensor:
    source_ON, weight_ON = (table.to(frames_IHWC.device) for table in _weights(frames_IHWC.shape[dim], size))
    shape = [1] * frames_IHWC.ndim
    shape[dim] = size
    # Half of a level, so that what the shift cuts off is rounded.
    sums: torch.Tensor | int = 1 << (_BITS - 1)
    for source_O, weight_O in zip(source_ON.T, weight_ON.T, strict=True):
        sums = sums + frames_IHWC.index_select(dim, source_O) * weight_O.view(shape)
    assert isinstance(sums, torch.Tensor)
    return (sums >> _BITS).clamp_(0, 255).to(torch.uint8)


@lru_cache(maxsize=32)
def _weights(old: int, new: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Which of `old` pixels each of `new` ones is made of: places, int64, and weights, int32 [new, N].

    The kernel is Keys' (a = −0.5), widened where the picture shrinks. A place beyond the edge has weight 0.
    """
    scale = old / new
    widened = max(scale, 1.0)
    reach = _SUPPORT * widened
    taps = math.ceil(reach) * 2 + 1
    sources, weights = [], []
    for place in range(new):
        center = (place + 0.5) * scale
        first = max(0, int(center - reach + 0.5))
        last = min(old, int(center + reach + 0.5))
        row = [_keys((source - center + 0.5) / widened) for source in range(first, last)]
        total = sum(row)
        fixed = [math.floor(abs(w / total) * (1 << _BITS) + 0.5) * (1 if w >= 0 else -1) for w in row]
        missing = taps - len(row)
        sources.append([*range(first, last), *[0] * missing])
        weights.append([*fixed, *[0] * missing])
    return torch.tensor(sources), torch.tensor(weights, dtype=torch.int32)


def _keys(x: float) -> float:
    x = abs(x)
    if x < 1:
        return (1.5 * x - 2.5) * x * x + 1
    return -0.5 * (((x - 5) * x + 8) * x - 4) if x < 2 else 0.0
