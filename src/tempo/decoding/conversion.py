"""Decoded frames → upright RGB arrays."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import av.video.frame
import av.video.reformatter
import numpy as np

from ..frames import Size


class Orientation(NamedTuple):
    """How a stored picture has to be turned to stand upright: first transposed, then flipped."""

    transposed: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def of(cls, frame: av.video.frame.VideoFrame) -> Orientation:
        """Read the display matrix: stored (x, y) is shown at (a x + c y, b x + d y). Nearest quarter turn.

        For one frame a video, not for each: looking at side data ties a frame into a reference cycle, which
        keeps its megabytes until the garbage collector comes by.
        """
        try:
            matrix: Any = frame.side_data.get("DISPLAYMATRIX")
        except ValueError:
            # PyAV refuses side data that it has no name for (Exif, the views of spatial video), all of it.
            return cls._turned(frame.rotation)
        if matrix is None:
            return cls()
        a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix))
        if abs(b) > abs(a):
            return cls(True, c < 0, b < 0)
        return cls(False, a < 0, d < 0)

    @classmethod
    def _turned(cls, degrees: float) -> Orientation:
        """For a picture that is shown turned counterclockwise by `degrees`. Nearest quarter turn."""
        quarters = round(degrees / 90) % 4
        return (cls(), cls(True, False, True), cls(False, True, True), cls(True, True, False))[quarters]

    def apply(self, picture: np.ndarray) -> np.ndarray:
        """[H, W, 3] stored → [H', W', 3] upright, C-contiguous."""
        if self.transposed:
            picture = picture.swapaxes(0, 1)
        return np.ascontiguousarray(picture[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1])

    def swap(self, size: Size) -> Size:
        """The size of the stored picture for that of the upright one, and the other way round."""
        return (size[1], size[0]) if self.transposed else size


class Converter:
    """Decoded frames → upright RGB of one size, scaled by libswscale while it converts the colours."""

    def __init__(self, size: Size, orientation: Orientation) -> None:
        self._stored_size = orientation.swap(size)
        self._orientation = orientation
        self._reformatter = av.video.reformatter.VideoReformatter()

    def __call__(self, frame: av.video.frame.VideoFrame) -> np.ndarray:
        """uint8 [H, W, 3] of the size given."""
        width, height = self._stored_size
        picture = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            interpolation=av.video.reformatter.Interpolation.AREA,
        )
        return self._orientation.apply(picture.to_ndarray())
