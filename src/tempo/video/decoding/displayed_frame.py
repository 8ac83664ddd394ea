"""The frame on screen."""

from __future__ import annotations

import math

import av.video.frame
import numpy as np

from tempo.video.frames import Picked

from .conversion import Converter


class Shown:
    """The frame that was shown last, converted once however often it is shown."""

    def __init__(self, convert: Converter) -> None:
        self._convert = convert
        self._array: np.ndarray | None = None
        self.pts: int | None = None
        self.time = -math.inf

    def set(self, frame: av.video.frame.VideoFrame, time: float) -> None:
        self._array = self._convert(frame)
        self.pts, self.time = frame.pts, time

    def at(self, moment: int) -> Picked:
        assert self._array is not None
        return Picked(moment, self._array, self.time)
