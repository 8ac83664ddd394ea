"""Opening the video of a request, wherever it is: an address, a data URL, frames, a file that was sent."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tempo.errors import TempoError
from tempo.video.video import Video

from .api_errors import ApiError
from .fetched_files import FetchedFiles, local_file
from .messages import Asked
from .uploads import Uploads, too_large

_FRAMES = "data:video/jpeg;base64,"
_FRAME_RATE = 1.0  # of frames that come without one
_MOST_PIXELS = 50_000_000  # of one frame


class Media:
    """Opens videos within the server's limits.

    Args:
        allowed: the folder beneath which ``file://`` may be opened; None: nowhere.
    """

    def __init__(
        self, uploads: Uploads, fetched: FetchedFiles, *, allowed: Path | None, limit_bytes: int
    ) -> None:
        self.uploads, self.fetched = uploads, fetched
        self.allowed, self.limit_bytes = allowed, limit_bytes

    def open(self, asked: Asked, gone: Callable[[], bool]) -> Video:
        """Open it.

        Raises:
            ApiError: it may not be opened, cannot be fetched or cannot be read.
        """
        address = asked.media
        if address.startswith(_FRAMES):
            return self._frames(address.removeprefix(_FRAMES), asked.frames_per_second or _FRAME_RATE)
        try:
            return Video.open(self._path(address, gone))
        except TempoError as error:
            name = address if len(address) < 200 else "the video"
            raise ApiError(422, f"{name}: cannot be read as a video ({_without_path(str(error))})") from error

    def _path(self, address: str, gone: Callable[[], bool]) -> Path:
        scheme, _, rest = address.partition(":")
        if scheme == "file-id":
            return self.uploads.get(rest).path
        if scheme == "file":
            return local_file(address, self.allowed)
        if scheme == "data":
            return self._written(rest)
        if scheme in ("http", "https"):
            return self.fetched.get(address, gone)
        raise ApiError(400, "give the video as http(s), data: or file:// address, or send it to /v1/files")

    def _written(self, data: str) -> Path:
        """The bytes of a data URL in a file that is named by them."""
        kind, comma, text = data.partition(",")
        if not comma or not kind.endswith(";base64"):
            raise ApiError(400, "a data: URL must look like data:video/mp4;base64,…")
        content = _decoded(text)
        if len(content) > self.limit_bytes:
            raise too_large(self.limit_bytes)
        return self.fetched.keep(f"data:{hashlib.sha256(content).hexdigest()}", content)

    def _frames(self, text: str, rate: float) -> Video:
        """Frames that the client sampled: JPEG or PNG, base64, separated by commas."""
        pictures = []
        for number, one in enumerate(text.split(","), 1):
            try:
                picture = Image.open(io.BytesIO(_decoded(one)))
                if picture.width * picture.height > _MOST_PIXELS:
                    raise ApiError(
                        413, f"frame {number} has {picture.width}×{picture.height} pixels; send less"
                    )
                pictures.append(np.asarray(picture.convert("RGB")))
            except (OSError, Image.DecompressionBombError) as error:
                raise ApiError(422, f"frame {number} cannot be read as an image; send JPEG or PNG") from error
        if len({picture.shape for picture in pictures}) > 1:
            raise ApiError(422, "the frames have different sizes; send them all at one size")
        try:
            return Video.from_frames(np.stack(pictures), fps=rate)
        except TempoError as error:
            raise ApiError(400, str(error), param="media_io_kwargs") from error


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ApiError(400, "what stands behind base64, is not base64") from error


def _without_path(message: str) -> str:
    """Where the server keeps its files is nobody's business."""
    return message.partition(": ")[2] or message
