"""The key-value cache of segments that go through a language model side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn


class ScratchBuffer:
    """Memory that one tensor after another is put into: fresh pages cost more than what is copied to them."""

    def __init__(self) -> None:
        self._flat: torch.Tensor | None = None

    def reserve(self, shape: tuple[int, ...], *, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        """An uninitialised tensor. The one that was reserved before must not be used any more."""
        size = math.prod(shape)
        if self._flat is None or len(self._flat) < size or self._flat.dtype != dtype:
            self._flat = None  # let go before more is asked for
            self._flat = torch.empty(size, dtype=dtype, device=device)
        return self._flat[:size].view(shape)


class KVCache:
    """Keys and values of S segments of equal length, in one tensor that is filled from the left.

    It stands in for a transformers cache: their attention layers call `update` and nothing else. A segment
    lies in one piece, so that segments can be gathered, moved and read from a file one by one.

    Attributes:
        data: [S, K, 2, G, capacity, E].
        length: tokens of each segment that are in it.
    """

    def __init__(self, data: torch.Tensor, length: int) -> None:
        self.data = data
        self.length = length

    @classmethod
    def allocate(cls, language: nn.Module, segments: int, capacity: int, *, like: torch.Tensor) -> KVCache:
        """An empty cache for `capacity` tokens of each segment, in the dtype and on the device of `like`."""
        config: Any = language.config
        layers, heads = config.num_hidden_layers, config.num_key_value_heads
        shape = (segments, layers, 2, heads, capacity, config.head_dim)
        return cls(torch.empty(shape, dtype=like.dtype, device=like.device), 0)

    @classmethod
    def gather(
        cls,
        rows: Iterable[Sequence[torch.Tensor]],
        *,
        segments: int,
        reserve: int,
        device: torch.device,
        buffer: ScratchBuffer,
    ) -> KVCache:
        """Copy segments from wherever they are kept, and reserve space for more tokens behind them.

        Args:
            rows: for each segment the pieces [K, 2, G, L, E] that follow one another in it, equally long in
                all of them. They are copied before the next ones are asked for.
            segments: how many there are.
            reserve: how many tokens will be added to each.
            buffer: where to copy to; what was gathered there before is overwritten.
        """
        data, length = torch.empty(0), 0
        for index, pieces in enumerate(rows):
            if index == 0:
                layers, two, heads, _, width = pieces[0].shape
                length = sum(piece.shape[3] for piece in pieces)
                shape = (segments, layers, two, heads, length + reserve, width)
                data = buffer.reserve(shape, dtype=pieces[0].dtype, device=device)
            at = 0
            for piece in pieces:
                data[index, :, :, :, at : at + piece.shape[3]] = piece
                at += piece.shape[3]
        return cls(data, length)

    def update(
        self, key: torch.Tensor, value: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add a layer's new keys and values [S, G, L, E] → all of that layer, as views."""
        end = self.length + key.shape[2]
        self.data[:, layer, 0, :, self.length : end] = key
        self.data[:, layer, 1, :, self.length : end] = value
        return self.data[:, layer, 0, :, :end], self.data[:, layer, 1, :, :end]
