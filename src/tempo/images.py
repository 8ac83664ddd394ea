"""Still images, animated images (GIF, WebP, PNG, AVIF), folders of images and arrays, read with Pillow."""

from __future__ import annotations

import os
import re
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from . import fingerprints
from .errors import TempoError, UsageError
from .frames import UNDECODABLE, Losses, Picked, Size

FORMATS = ("PNG", "JPEG", "MPO", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "TGA")
MOVING = (
    "GIF",
    "WEBP",
    "PNG",
    "AVIF",
)  # several pictures are one animation; in others they are pages or views
SUFFIXES = (
    ".png",
    ".apng",
    ".jpg",
    ".jpeg",
    ".gif",
    ".webp",
    ".bmp",
    ".tif",
    ".tiff",
    ".avif",
    ".jp2",
    ".ppm",
    ".tga",
)
USUAL_LENGTH = 0.1  # seconds that a picture of an animation stays if it does not say
FOLDER_RATE = 1.0  # images a second in a folder, unless given


def is_image(path: str) -> bool:
    """Whether the file's first bytes are those of an image that Pillow reads. A movie is not."""
    try:
        with _open(path):
            return True
    except Image.DecompressionBombError:
        return True  # and too large a one
    except OSError:
        return False


def _open(path: str) -> Image.Image:
    Image.init()
    formats = [name for name in FORMATS if name in Image.OPEN]
    # TGA has no signature and takes almost anything for itself: only where the name says so.
    if not path.lower().endswith(".tga"):
        formats.remove("TGA")
    return Image.open(path, formats=formats)


def _rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB of the upright picture, over white where it is transparent."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(_to_8_bit(np.asarray(image)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _to_8_bit(values: np.ndarray) -> np.ndarray:
    """Gray values of 16 or 32 bits → uint8: 16-bit ones divided by 257, others stretched over their range."""
    if values.dtype == np.uint16 or (
        values.dtype.kind in "iu" and values.min() >= 0 and 255 < values.max() < 65536
    ):
        return (values.astype(np.uint32) * 255 // 65535).astype(np.uint8)
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind in "iu" and low >= 0 and high <= 255:
        return values.astype(np.uint8)
    return ((values - low) * (255.0 / max(high - low, 1e-12))).astype(np.uint8)


def _pixels(image: Image.Image, size: Size | None) -> np.ndarray:
    """uint8 [H, W, 3], scaled to `size` if one is given."""
    if size is not None and image.size != size:
        image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    return np.ascontiguousarray(np.asarray(image))


def _refuse(path: str, error: BaseException) -> TempoError:
    return TempoError(f"{path}: the image cannot be decoded ({error}); check that the file is complete")


_DECODING_ERRORS = (  # what Pillow raises on damaged images
    OSError,
    SyntaxError,
    ValueError,
    IndexError,
    TypeError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
)


class AnimatedImage:
    """A GIF, WebP, PNG or AVIF file with one picture or several."""

    resample: Literal["any", "thin", "never"] = "any"

    def __init__(self, path: str) -> None:
        """Raises TempoError when the first picture cannot be decoded."""
        self._path = path
        try:
            with _open(path) as image:
                first = _rgb(image)
                self.size: Size = first.size
                self._starts, self.end, self._intact = _timeline(image)
        except _DECODING_ERRORS as error:
            raise _refuse(path, error) from error
        self.start = 0.0
        self.frame_count: int | None = len(self._starts)
        self.kind: Literal["video", "image"] = "video" if len(self._starts) > 1 else "image"
        self.frame_rate: float | None = None
        if self.kind == "video":
            self.frame_rate = len(self._starts) / self.end

    def fingerprint(self) -> str:
        return fingerprints.of_file(self._path)

    def pick(
        self, times: np.ndarray, *, size: Size | None, stop: threading.Event, losses: Losses
    ) -> Iterator[Picked]:
        wanted = shown_at(self._starts, times)
        with _open(self._path) as image:
            at = -1
            frame: np.ndarray | None = None
            for moment, number in enumerate(wanted):
                if stop.is_set():
                    return
                if number != at:
                    try:
                        if number >= self._intact:
                            raise EOFError
                        image.seek(int(number))
                        frame, at = _pixels(_rgb(image), size), int(number)
                    except _DECODING_ERRORS:
                        losses.add(float(self._starts[number]), self.end, UNDECODABLE)
                        return  # every picture of an animation builds on the one before
                assert frame is not None
                yield Picked(moment, frame, float(self._starts[number]))


def _timeline(image: Image.Image) -> tuple[np.ndarray, float, int]:
    """(when every picture appears, float64 [N] in seconds; when the last one goes; how many can be decoded).

    Every picture has to be read for it. As in browsers, a picture that claims to be shown for 10 ms or less
    is shown for 100 ms. The first one that cannot be decoded counts, those behind it do not.
    """
    lengths: list[float] = []
    intact = 0
    while True:
        try:
            image.seek(len(lengths))
        except EOFError:
            break  # there are no more
        except _DECODING_ERRORS:
            lengths.append(USUAL_LENGTH)
            break
        milliseconds = float(image.info.get("duration", 0) or 0)
        lengths.append(milliseconds / 1000 if milliseconds > 10 else USUAL_LENGTH)
        try:
            image.load()
        except _DECODING_ERRORS:
            break
        intact += 1
        if image.format not in MOVING:
            break
    if len(lengths) == 1:
        return np.zeros(1), 0.0, intact
    ends = np.cumsum(lengths)
    return np.concatenate([[0.0], ends[:-1]]), float(ends[-1]), intact


def shown_at(starts: np.ndarray, times: np.ndarray) -> np.ndarray:
    """int64 [T]: for every time the index of the last start at or before it, 0 if there is none."""
    return np.maximum(np.searchsorted(starts, times + 1e-6, side="right") - 1, 0)


class ImageFolder:
    """The images in one folder, in natural order of their names, at a steady rate."""

    kind: Literal["video", "image"] = "video"
    resample: Literal["any", "thin", "never"] = "thin"

    def __init__(self, path: str, *, frame_rate: float = FOLDER_RATE) -> None:
        """Raises TempoError when the folder has no image or the first one cannot be decoded."""
        names = [
            name for name in os.listdir(path) if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        ]
        self._files = [os.path.join(path, name) for name in sorted(names, key=natural)]
        if not self._files:
            raise TempoError(
                f"{path}: no images in this folder; give a video file or a folder of PNG or JPEG files"
            )
        self._rate = frame_rate
        self.size: Size = self._read(self._files[0]).size
        self.start, self.end = 0.0, len(self._files) / frame_rate
        self.frame_rate: float | None = frame_rate
        self.frame_count: int | None = len(self._files)

    @staticmethod
    def _read(path: str) -> Image.Image:
        try:
            with _open(path) as image:
                return _rgb(image)
        except _DECODING_ERRORS as error:
            raise _refuse(path, error) from error

    def fingerprint(self) -> str:
        return fingerprints.of_files(self._files, self._rate)

    def pick(
        self, times: np.ndarray, *, size: Size | None, stop: threading.Event, losses: Losses
    ) -> Iterator[Picked]:
        def decode(number: int) -> np.ndarray | None:
            try:
                # Images of another size than the first one are brought to it: a video has one size.
                return _pixels(self._read(self._files[number]), size or self.size)
            except TempoError:
                losses.add(number / self._rate, (number + 1) / self._rate, UNDECODABLE)
                return None

        yield from _pick_by_number(decode, len(self._files), self._rate, times, stop)


def natural(name: str) -> list[tuple[int, int, str]]:
    """Sorting key that puts frame2 before frame10."""
    parts = re.split(r"(\d+)", name.lower())
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part]


class FrameArray:
    """Frames that are in memory and already sampled."""

    kind: Literal["video", "image"] = "video"
    resample: Literal["any", "thin", "never"] = "never"

    def __init__(self, frames: np.ndarray, *, fps: float) -> None:
        """`frames`: uint8 [T, H, W, 3] RGB; `fps`: frames per second. Raises UsageError for anything else."""
        shape = list(getattr(frames, "shape", ()))
        dtype = getattr(frames, "dtype", type(frames).__name__)
        if (
            not isinstance(frames, np.ndarray)
            or dtype != np.uint8
            or len(shape) != 4
            or shape[-1] != 3
            or 0 in shape
        ):
            raise UsageError(
                f"frames must be a NumPy array of uint8 [T, H, W, 3] in RGB, not {dtype} {shape}"
            )
        self._frames, self._fps = frames, fps
        self.size: Size = (shape[2], shape[1])
        self.start, self.end = 0.0, shape[0] / fps
        self.frame_rate: float | None = fps
        self.frame_count: int | None = shape[0]

    def fingerprint(self) -> str:
        return fingerprints.of_array(self._frames, self._fps)

    def pick(
        self, times: np.ndarray, *, size: Size | None, stop: threading.Event, losses: Losses
    ) -> Iterator[Picked]:
        def take(number: int) -> np.ndarray | None:
            if size is None or size == self.size:
                return self._frames[number]
            return _pixels(Image.fromarray(self._frames[number]), size)

        yield from _pick_by_number(take, len(self._frames), self._fps, times, stop)


def _pick_by_number(
    read: Callable[[int], np.ndarray | None],
    count: int,
    rate: float,
    times: np.ndarray,
    stop: threading.Event,
) -> Iterator[Picked]:
    """Pick from `count` frames of which number i appears at i / rate; None from `read` leaves it out."""
    starts = np.arange(count, dtype=np.float64) / rate
    last, frame = -1, None
    for moment, number in enumerate(shown_at(starts, times)):
        if stop.is_set():
            return
        if number != last:
            last, frame = int(number), read(int(number))
        if frame is not None:
            yield Picked(moment, frame, float(starts[number]))
