"""Frames that a client sampled: they are one video, with the times that it gives them."""

from __future__ import annotations

import hashlib
import io
import itertools
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from tempo.errors import TempoError
from tempo.video.video import Video

from .api_errors import ApiError
from .messages import Asked

_RATE = 1.0  # frames a second, of frames that come without times
_MOST_PIXELS = 50_000_000  # of one frame
_MOST_BYTES = 4 * 10**9  # of all of them, decoded


class SentFrames:
    """Frames of a request, JPEG or PNG. They are decoded only where they were not watched yet."""

    def __init__(self, contents: Sequence[bytes], asked: Asked) -> None:
        """Raises ApiError: their times make no sense."""
        self._contents: Sequence[bytes] | None = contents
        self._rate, self._times = _clock(len(contents), asked)
        digest = hashlib.sha256(repr((self._rate, self._times)).encode())
        for content in contents:
            digest.update(hashlib.sha256(content).digest())
        self.fingerprint = digest.hexdigest()

    def without_content(self) -> SentFrames:
        """The same video for as long as it stays watched: the frames themselves are not kept."""
        copy = object.__new__(SentFrames)
        copy.__dict__ |= self.__dict__ | {"_contents": None}
        return copy

    @property
    def is_gone(self) -> bool:
        """Whether the frames are not kept."""
        return self._contents is None

    def open(self) -> Video:
        """Raises ApiError: a frame cannot be read, or they differ in size."""
        if self._contents is None:
            raise ApiError(422, "the frames are not kept any more; send them again", param="uuid")
        size = _size(self._contents)
        if len(self._contents) * size[0] * size[1] * 3 > _MOST_BYTES:
            raise ApiError(
                413, f"{len(self._contents)} frames of {size[0]}×{size[1]} are too many; send less"
            )
        frames_THWC = np.stack([_pixels(n, content, size) for n, content in enumerate(self._contents, 1)])
        try:
            return Video.from_frames(frames_THWC, fps=self._rate, times=self._times)
        except TempoError as error:
            raise ApiError(400, str(error), param="media_io_kwargs") from error


def _clock(count: int, asked: Asked) -> tuple[float, tuple[float, ...] | None]:
    """Frames a second, and the seconds of each where the client says them."""
    times = asked.frame_times
    if times is None:
        return asked.frame_rate or _RATE, None
    rising = all(a < b for a, b in itertools.pairwise(times))
    if len(times) != count or not rising or not all(math.isfinite(t) and t >= 0 for t in times):
        says = f"media_io_kwargs.video.times must be {count} rising numbers of seconds, one for each frame"
        raise ApiError(400, says, param="media_io_kwargs")
    length = times[-1] - times[0]
    return (count - 1) / length if length else asked.frame_rate or _RATE, times


def _open(number: int, content: bytes) -> Image.Image:
    try:
        picture = Image.open(io.BytesIO(content), formats=("JPEG", "PNG"))
    except (OSError, Image.DecompressionBombError) as error:
        raise ApiError(422, f"frame {number} cannot be read as an image; send JPEG or PNG") from error
    if picture.width * picture.height > _MOST_PIXELS:
        says = f"frame {number} has {picture.width}×{picture.height} pixels; send less"
        raise ApiError(413, says)
    return picture


def _size(contents: Sequence[bytes]) -> tuple[int, int]:
    return _open(1, contents[0]).size


def _pixels(number: int, content: bytes, size: tuple[int, int]) -> np.ndarray:
    picture = _open(number, content)
    if picture.size != size:
        raise ApiError(422, "the frames have different sizes; send them all at one size")
    try:
        return np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise ApiError(422, f"frame {number} cannot be read as an image; send JPEG or PNG") from error
