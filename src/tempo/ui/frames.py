"""Frames of a video as JPEG, decoded on request and remembered."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

from tempo.errors import TempoError
from tempo.markup import jpeg
from tempo.video.stills import frame_at
from tempo.video.video import Video

HEIGHT = 180  # pixels
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
        return self._latest.get(time, lambda: jpeg(frame_at(self._opened(), time, height=HEIGHT)[1]))

    def _opened(self) -> Video:
        if self._video is None:
            self._video = Video.open(self._path)
        return self._video
