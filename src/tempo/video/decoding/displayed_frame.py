"""The frame on screen, converted to RGB once however often it is sampled."""

from __future__ import annotations

import math

import av.video.frame
import numpy as np

from tempo.video.frames import SampledFrame

from .conversion import Converter


class DisplayedFrame:
    """The latest frame that was displayed, with its RGB pixels."""

    def __init__(self, convert: Converter) -> None:
        self._convert = convert
        self._array: np.ndarray | None = None
        self.pts: int | None = None
        self.time = -math.inf

    def set(self, frame: av.video.frame.VideoFrame, time: float) -> None:
        """Display a decoded frame that appears at TIME (seconds)."""
        self._array = self._convert(frame)
        self.pts, self.time = frame.pts, time

    def at(self, sample: int) -> SampledFrame:
        """The frame as the one on screen at a sample."""
        assert self._array is not None
        return SampledFrame(sample, self._array, self.time)
