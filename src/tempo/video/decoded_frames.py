"""The frames of a sampling, decoded in a thread, and put together in batches."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from .frames import Damage, FrameBatch, FrameSource, Losses, SampledFrame, Size
from .prefetch import Background
from .sampling import Sampling


class DecodedFrames:
    """Frames that are decoded from now on, a bounded number ahead of whoever reads them.

    Args:
        size: (width, height) to scale to; None: full size.
        ahead: how many decoded frames may wait.

    Attributes:
        damage: what could not be decoded; complete once `batches` has ended.
        is_empty: whether not one frame could be decoded, likewise.
    """

    def __init__(self, source: FrameSource, sampling: Sampling, *, size: Size | None, ahead: int) -> None:
        self._sampling, self._scale = sampling, size
        self._size = size or source.size
        self._losses = losses = Losses()
        self._missed: list[int] = []
        self._frames = Background(
            lambda stop: source.frames_at(sampling.times, size=size, stop=stop, losses=losses),
            depth=ahead,
            name="tempo-decode",
        )
        self.damage = Damage()

    def are_of(self, sampling: Sampling, size: Size | None) -> bool:
        """Whether they are what a sampling asks for at a size."""
        return size == self._scale and np.array_equal(sampling.times, self._sampling.times)

    @property
    def is_empty(self) -> bool:
        return len(self._missed) == len(self._sampling)

    def batches(self, chunk: int) -> Iterator[FrameBatch]:
        """The frames in order, CHUNK at a time; the last batch may be smaller."""
        times = self._sampling.times
        expected, previous = 0, -math.inf
        batch: _Batch | None = None
        try:
            for sampled in self._frames:
                self._missed += range(expected, sampled.sample_index)
                expected = sampled.sample_index + 1
                if batch is None:
                    batch = _Batch(min(chunk, len(times) - sampled.sample_index), self._size)
                previous = _time_of(sampled, previous, times)
                batch.add(sampled.frame, previous)
                if batch.full:
                    yield batch.close()
                    batch = None
            self._missed += range(expected, len(times))
            if batch is not None:
                yield batch.close()
        finally:
            self.close()
            length = 1.0 / self._sampling.fps
            self._losses.cover((float(times[index]) for index in self._missed), length=length)
            self.damage = self._losses.damage(moments=len(self._missed))

    def close(self) -> None:
        """Decode no more."""
        self._frames.close()


class _Batch:
    """A batch that is being filled."""

    def __init__(self, capacity: int, size: Size) -> None:
        self._frames = np.empty((capacity, size[1], size[0], 3), np.uint8)
        self._times = np.empty(capacity)
        self._filled = 0

    def add(self, frame: np.ndarray, time: float) -> None:
        self._frames[self._filled], self._times[self._filled] = frame, time
        self._filled += 1

    @property
    def full(self) -> bool:
        return self._filled == len(self._times)

    def close(self) -> FrameBatch:
        return FrameBatch(self._frames[: self._filled], self._times[: self._filled])


def _time_of(sampled: SampledFrame, previous: float, times: np.ndarray) -> float:
    """A frame's own time, or the sampled time for a frame that was taken before and is still on screen."""
    return sampled.time if sampled.time > previous else max(previous, float(times[sampled.sample_index]))
