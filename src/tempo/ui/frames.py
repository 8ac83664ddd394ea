"""Frames of a video as JPEG, decoded on request and remembered."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from PIL import Image

from tempo.errors import TempoError
from tempo.video.video import Sampling, Video

HEIGHT = 180  # pixels
WIDEST = 2.4  # times as wide as high, at most
REMEMBERED = 256  # JPEG files of a few kilobytes
K = TypeVar("K", bound=Hashable)


class LatestFrames(Generic[K]):
    """The latest JPEG files by their keys. Each is made once at a time, one after the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: OrderedDict[K, bytes | None] = OrderedDict()

    def get(self, key: K, make: Callable[[], bytes | None]) -> bytes | None:
        """The file for KEY, or what MAKE returns; None for one that cannot be read."""
        with self._lock:
            if key not in self._made:
                try:
                    self._made[key] = make()
                except TempoError:
                    self._made[key] = None
                if len(self._made) > REMEMBERED:
                    self._made.popitem(last=False)
            self._made.move_to_end(key)
            return self._made[key]


class Frames:
    """Frames of one file.

    Args:
        path: the file; it gets a decoder of its own, apart from the one that watches it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._video: Video | None = None
        self._latest: LatestFrames[float] = LatestFrames()

    @property
    def duration(self) -> float:
        """Seconds. Raises TempoError where the file cannot be opened."""
        return self._opened().duration

    def jpeg(self, time: float) -> bytes | None:
        """The frame at TIME seconds, or the nearest that there is; None where it cannot be decoded."""
        return self._latest.get(time, lambda: _jpeg(self._opened(), time))

    def _opened(self) -> Video:
        if self._video is None:
            self._video = Video.open(self._path)
        return self._video


def _jpeg(video: Video, time: float) -> bytes | None:
    moment = Sampling(np.array([min(max(time, 0.0), video.duration)]), 1.0)
    size = (max(1, round(HEIGHT * min(video.width / video.height, WIDEST))), HEIGHT)
    batch = next(video.stream(moment, chunk=1, size=size), None)
    return None if batch is None else encode(batch.frames[0])


def encode(pixels: np.ndarray) -> bytes:
    """A frame, uint8 [H, W, 3], as JPEG."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=80)
    return data.getvalue()
