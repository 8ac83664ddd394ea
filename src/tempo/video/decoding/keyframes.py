"""Finds the keyframes around given times without reading what lies between them."""

from __future__ import annotations

import math

import av.container
import av.error
import av.video.stream
import numpy as np

from .container import VideoFile
from .demuxer import DamageError


def keyframes_around(file: VideoFile, times: np.ndarray) -> np.ndarray:
    """The presentation times of the last keyframe before and the first one after each of `times`.

    Reads one packet for each. Keyframes that are not displayed, or cannot be read, are left out.

    Args:
        times: float64, ascending seconds.

    Returns:
        float64, ascending seconds without repetition; empty where the times of the file's packets say
        nothing, or where it is read over a network, in which case seeking costs more than decoding.
    """
    if not file.plannable or file.remote is not None:
        return np.empty(0)
    found: set[int] = set()
    with file.open() as container:
        stream = file.stream_of(container)
        before, after = -math.inf, -math.inf  # the keyframes around the latest time
        for limit in file.limits(times):
            if before <= limit < after:
                continue
            pair = [
                _keyframe(file, container, stream, limit, backward=backward) for backward in (True, False)
            ]
            found.update(pts for pts in pair if pts is not None)
            before = limit if pair[0] is None else pair[0]
            after = math.inf if pair[1] is None else pair[1]
    return np.array([file.seconds(pts) for pts in sorted(found)], np.float64)


def _keyframe(
    file: VideoFile,
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    pts: int,
    *,
    backward: bool,
) -> int | None:
    """The pts of the keyframe at or before another (or at or after it); None: there is none."""
    try:
        container.seek(pts, stream=stream, backward=backward)
        packet = file.demuxer(container, stream, error_tolerant=False).read()
    except (av.error.FFmpegError, DamageError):
        return None
    if packet is None or not packet.is_keyframe or packet.is_discard or packet.pts is None:
        return None
    return packet.pts
