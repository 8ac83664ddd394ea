"""Sources of frames: still and animated images (GIF, WebP, PNG, AVIF), folders of images, arrays."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from tempo.errors import TempoError, UsageError
from tempo.storage import hashing
from tempo.video.frames import (
    UNDECODABLE,
    Losses,
    SampledFrame,
    Size,
)
from tempo.video.pixel_limit import check_pixels

from . import heif
from .animation import ImagePictures, timeline
from .apng import AnimatedPng
from .image_files import (
    decoding,
    open_image,
    to_pixels,
    to_rgb,
    upright_size,
)

SUFFIXES = (
    ".png", ".apng", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".jp2", ".ppm",
    ".tga", *heif.SUFFIXES,
)  # fmt: skip
FOLDER_RATE = 1.0  # images a second in a folder, unless given


class AnimatedImage:
    """An image file with one picture, or with several that are an animation."""

    resample: Literal["any", "thin", "never"] = "any"

    def __init__(self, path: str) -> None:
        """Raises TempoError when the first picture cannot be decoded or all of them are too large."""
        self._path = path
        with open_image(path) as image, decoding(path):
            pictures = _pictures(path, image)
            count = len(pictures.delays)
            check_pixels(path, pictures.size, count)
            self._starts, self.end = timeline(pictures.delays)
            # Pictures of AVIF need not build on the one before; everywhere else damage lasts to the end.
            self._recovers = image.format == "AVIF"
            pictures.seek(0)
            pictures.canvas.load()
            self.size: Size = upright_size(pictures.canvas)
        self.start = 0.0
        self.frame_count: int | None = count
        self.kind: Literal["video", "image"] = "video" if count > 1 else "image"
        self.frame_rate: float | None = count / self.end if count > 1 else None

    def fingerprint(self) -> str:
        """See :meth:`tempo.video.frames.FrameSource.fingerprint`."""
        return hashing.of_file(self._path)

    def frames_at(
        self, times: np.ndarray, *, size: Size | None, stop: threading.Event, losses: Losses
    ) -> Iterator[SampledFrame]:
        """See :meth:`tempo.video.frames.FrameSource.frames_at`."""
        wanted = shown_at(self._starts, times)
        ends = np.append(self._starts[1:], self.end)
        with open_image(self._path) as image:
            with decoding(self._path):
                pictures = _pictures(self._path, image)
            at = -1
            frame: np.ndarray | None = None
            for sample_index, number in enumerate(wanted.tolist()):
                try:
                    with decoding(self._path):
                        for passed in range(at + 1, number + 1):
                            if stop.is_set():
                                return
                            pictures.seek(passed)
                        if number != at:
                            frame = self._shown(pictures.canvas, size)
                except TempoError:
                    frame = None
                    if not self._recovers:
                        losses.add(float(self._starts[number]), self.end, UNDECODABLE)
                        return
                    losses.add(float(self._starts[number]), float(ends[number]), UNDECODABLE)
                at = number
                if frame is not None:
                    yield SampledFrame(sample_index, frame, float(self._starts[number]))

    def _shown(self, canvas: Image.Image, size: Size | None) -> np.ndarray:
        picture = to_rgb(canvas)
        if picture.size != self.size:  # of a GIF that grows
            picture = picture.crop((0, 0, *self.size))
        return to_pixels(picture, size)


def _pictures(path: str, image: ImageFile) -> AnimatedPng | ImagePictures:
    if image.format == "PNG" and (png := AnimatedPng(path)).delays:
        return png
    return ImagePictures(path, image)


def shown_at(starts: np.ndarray, times: np.ndarray) -> np.ndarray:
    """int64 [T]: for every time the index of the last start at or before it, 0 if there is none."""
    return np.maximum(np.searchsorted(starts, times + 1e-6, side="right") - 1, 0)


class ImageFolder:
    """The images in one folder, in natural order of their names, at a steady rate.

    A file with an image's name that cannot be decoded keeps its place, and its time counts as lost.
    """

    kind: Literal["video", "image"] = "video"
    resample: Literal["any", "thin", "never"] = "thin"

    def __init__(self, path: str, *, frame_rate: float = FOLDER_RATE) -> None:
        """Raises TempoError when the folder has no image, or none that can be decoded."""
        try:
            names = os.listdir(path)
        except OSError as error:
            raise TempoError(
                f"{path}: the folder cannot be read ({error.strerror}); check its permissions"
            ) from error
        names = [name for name in names if name.lower().endswith(SUFFIXES) and not name.startswith(".")]
        self._files = [os.path.join(path, name) for name in sorted(names, key=natural)]
        if not self._files:
            raise TempoError(
                f"{path}: no images in this folder; give a video file or a folder of PNG or JPEG files"
            )
        if not heif.is_installed() and any(name.lower().endswith(heif.SUFFIXES) for name in names):
            raise heif.needed(path)
        self._rate = frame_rate
        self.size: Size = self._first_size(path)
        self.start, self.end = 0.0, len(self._files) / frame_rate
        self.frame_rate: float | None = frame_rate
        self.frame_count: int | None = len(self._files)

    def _first_size(self, path: str) -> Size:
        """The size of the first image that can be decoded."""
        first: TempoError | None = None
        for file in self._files:
            try:
                return self._read(file).size
            except TempoError as error:
                first = first or error
        assert first is not None
        if len(self._files) == 1:
            raise first
        raise TempoError(
            f"{path}: none of the {len(self._files)} images in this folder can be decoded; the first: {first}"
        ) from first

    @staticmethod
    def _read(path: str) -> Image.Image:
        with open_image(path) as image, decoding(path):
            return to_rgb(image)

    def fingerprint(self) -> str:
        """See :meth:`tempo.video.frames.FrameSource.fingerprint`."""
        return hashing.of_files(self._files, self._rate)

    def frames_at(
        self, times: np.ndarray, *, size: Size | None, stop: threading.Event, losses: Losses
    ) -> Iterator[SampledFrame]:
        """See :meth:`tempo.video.frames.FrameSource.frames_at`."""

        def decode(number: int) -> np.ndarray | None:
            try:
                return self._fitted(self._read(self._files[number]), size or self.size)
            except TempoError:
                reason = f"{os.path.basename(self._files[number])} cannot be read"
                losses.add(number / self._rate, (number + 1) / self._rate, reason)
                return None

        starts = np.arange(len(self._files), dtype=np.float64) / self._rate
        yield from _pick_by_number(decode, starts, times, stop)

    def _fitted(self, image: Image.Image, size: Size) -> np.ndarray:
        """An image of another size than the first one is fitted into it: a video has one size."""
        if image.size == self.size:
            return to_pixels(image, size)
        scale = min(self.size[0] / image.width, self.size[1] / image.height)
        width = max(1, round(image.width * scale * size[0] / self.size[0]))
        height = max(1, round(image.height * scale * size[1] / self.size[1]))
        frame = np.zeros((size[1], size[0], 3), np.uint8)
        top, left = (size[1] - height) // 2, (size[0] - width) // 2
        frame[top : top + height, left : left + width] = to_pixels(image, (width, height))
        return frame


def natural(name: str) -> list[tuple[int, int, str]]:
    """Sorting key that puts frame2 before frame10."""
    parts = re.split(r"(\d+)", name.lower())
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part]


class FrameArray:
    """Frames that are in memory and already sampled."""

    kind: Literal["video", "image"] = "video"
    resample: Literal["any", "thin", "never"] = "never"

    def __init__(self, frames: np.ndarray, *, fps: float, times: Sequence[float] | None = None) -> None:
        """`frames`: uint8 [T, H, W, 3] RGB; `fps`: frames per second; `times`: ascending seconds of each.
        Raises UsageError for anything else."""
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
        self._frames, self.fps = frames, fps
        self.size: Size = (shape[2], shape[1])
        self.times = None if times is None else _ascending(times, count=shape[0])
        self._starts = np.arange(shape[0], dtype=np.float64) / fps if self.times is None else self.times
        self.start = float(self._starts[0])
        self.end = shape[0] / fps if self.times is None else float(self.times[-1]) + 1 / fps
        self.frame_rate: float | None = fps
        self.frame_count: int | None = shape[0]

    @property
    def nbytes(self) -> int:
        """Memory that they take."""
        return self._frames.nbytes

    def fingerprint(self) -> str:
        """See :meth:`tempo.video.frames.FrameSource.fingerprint`."""
        if self.times is None:
            return hashing.of_array(self._frames, self.fps)
        return hashing.of_array(self._frames, self.fps, self.times.tolist())

    def frames_at(
        self, times: np.ndarray, *, size: Size | None, stop: threading.Event, losses: Losses
    ) -> Iterator[SampledFrame]:
        """See :meth:`tempo.video.frames.FrameSource.frames_at`."""

        def take(number: int) -> np.ndarray | None:
            if size is None or size == self.size:
                return self._frames[number]
            return to_pixels(Image.fromarray(self._frames[number]), size)

        yield from _pick_by_number(take, self._starts, times, stop)


def _ascending(times: Sequence[float], *, count: int) -> np.ndarray:
    found = np.asarray(times, dtype=np.float64)
    if found.shape != (count,) or not np.isfinite(found).all() or (np.diff(found) <= 0).any() or found[0] < 0:
        raise UsageError(f"times must be {count} ascending numbers of seconds, one for each frame")
    return found


def _pick_by_number(
    read: Callable[[int], np.ndarray | None], starts: np.ndarray, times: np.ndarray, stop: threading.Event
) -> Iterator[SampledFrame]:
    """Pick from frames of which number i appears at `starts[i]` seconds; None from `read` leaves it out."""
    last, frame = -1, None
    for sample_index, number in enumerate(shown_at(starts, times)):
        if stop.is_set():
            return
        if number != last:
            last, frame = int(number), read(int(number))
        if frame is not None:
            yield SampledFrame(sample_index, frame, float(starts[number]))
