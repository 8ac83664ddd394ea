"""Small media files whose truth is known without any decoder: every picture spells its own index.

The upper half of a picture holds ten vertical bars, black for 0 and white for 1, the most significant bit on
the left; the lower half is blue on the left and red on the right, which tells which way round the picture
stands.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import av
import numpy as np

P = ParamSpec("P")
T = TypeVar("T")
BITS = 10


def picture(index: int, size: tuple[int, int] = (160, 96)) -> np.ndarray:
    """uint8 [H, W, 3] of the given (width, height)."""
    width, height = size
    frame = np.zeros((height, width, 3), np.uint8)
    columns = np.arange(width) * BITS // width
    frame[: height // 2] = ((index >> (BITS - 1 - columns)) & 1)[:, None] * 255
    frame[height // 2 :, : width // 2, 2] = 255
    frame[height // 2 :, width // 2 :, 0] = 255
    return frame


def index_of(frame: np.ndarray) -> int:
    """Read the index back, and check that the picture stands upright."""
    height, width, _ = frame.shape
    assert frame[-height // 4, width // 4, 2] > 150 > frame[-height // 4, width // 4, 0] + 50, "not upright"
    assert frame[-height // 4, -width // 4, 0] > 150 > frame[-height // 4, -width // 4, 2] + 50, "not upright"
    row = frame[height // 4].astype(int).mean(-1)
    centres = (np.arange(BITS) * width + width // 2) // BITS
    return int("".join("1" if row[centre] > 127 else "0" for centre in centres), 2)


def indices(frames: np.ndarray) -> list[int]:
    return [index_of(frame) for frame in frames]


def in_its_own_thread(function: Callable[P, T]) -> Callable[P, T]:
    """Where the user is root, SVT-AV1 gives the thread that opens it real-time priority, and every thread
    that is begun there inherits it: workers that wait for one another by spinning then never yield a core. A
    thread of its own takes the priority with it when it ends."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(function, *args, **kwargs).result()

    return call


@in_its_own_thread
def write(
    path: Path,
    *,
    count: int = 30,
    rate: int | Fraction = 30,
    size: tuple[int, int] = (160, 96),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    ticks: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    draw: Callable[[int], np.ndarray] | None = None,
    sound: tuple[float, float] | None = None,
    container_options: dict[str, str] | None = None,
    file_format: str | None = None,
) -> Path:
    """Encode `count` pictures. `ticks`: their presentation times in units of `time_base`, instead of a steady
    rate. `sound`: add an audio track from the first to the second, in seconds."""
    base = time_base or Fraction(1) / rate
    times = range(count) if ticks is None else ticks
    with av.open(str(path), "w", format=file_format, options=container_options or {}) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        stream.options = options or {}
        stream.codec_context.time_base = base
        audio: Any = container.add_stream("aac", rate=16000) if sound else None
        for index, tick in enumerate(times):
            drawn = draw(index) if draw else picture(index, size)
            frame = av.VideoFrame.from_ndarray(drawn, format="rgb24")
            frame.pts, frame.time_base = tick, base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound:
            add_sound(container, audio, *sound)
    return path


def add_sound(container: Any, audio: Any, begin: float, end: float) -> None:
    for start in range(int(begin * 16000), int(end * 16000), 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 16000, start, Fraction(1, 16000)
        container.mux(audio.encode(frame))
    container.mux(audio.encode())


def set_display_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Rewrite the display matrix in an MP4 file's header: stored (x, y) is shown at (ax + cy, bx + dy)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    one = 1 << 16
    data[at : at + 36] = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def pad(path: Path, size: int) -> None:
    """Append an empty box to an MP4 file: so many bytes, of which the disk stores none."""
    with open(path, "ab") as file:
        file.write(size.to_bytes(4, "big") + b"free")
        file.truncate(file.tell() + size - 8)


def shown_at(presented: Sequence[float], moments: Sequence[float]) -> list[int]:
    """For every moment the index of the last frame presented by then, the first one if there is none."""
    return [
        max([i for i, time in enumerate(presented) if time <= moment + 1e-6], default=0) for moment in moments
    ]
