"""Single frames of a video, for whoever looks at it."""

from __future__ import annotations

import numpy as np

from tempo.errors import TempoError

from .video import Sampling, Video

WIDEST = 2.4  # times as wide as high, at most, where a height is asked for


def frame_at(video: Video, time: float, *, height: int | None = None) -> tuple[float, np.ndarray]:
    """Decode the frame on screen at TIME seconds → its own time, and uint8 [H, W, 3] in RGB.

    Args:
        height: pixels to scale it to; None: as in the video.

    Raises:
        TempoError: it cannot be decoded.
    """
    size = None
    if height is not None:
        size = (max(1, round(height * min(video.width / video.height, WIDEST))), height)
    moment = Sampling(np.array([min(max(time, 0.0), video.duration)]), 1.0)
    batch = next(video.stream(moment, chunk=1, size=size), None)
    if batch is None:
        raise TempoError(f"{video.path or 'frames'}: nothing can be decoded at {time:.1f} seconds")
    return float(batch.times[0]), batch.frames[0]
