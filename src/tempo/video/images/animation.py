"""Reads the delays of animated GIF, WebP and AVIF images from the structure of the file, without decoding.

Pillow reports the delay of a picture in a GIF before it decodes it, and of WebP and AVIF only afterwards; the
files hold all of them at once. For PNG see :mod:`tempo.video.images.apng`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from io import BytesIO
from itertools import islice, repeat
from typing import BinaryIO

import numpy as np
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile

from tempo.video.frames import Size
from tempo.video.iso_boxes import (
    IsoBox,
    boxes,
    number,
    within,
)

USUAL_DELAY = 0.1  # seconds that a picture stays if it does not say
SHORTEST_DELAY = 0.01  # seconds; as in browsers, what claims to stay for no longer stays for USUAL_DELAY
_PICTURES = int.from_bytes(b"pict", "big")  # what a track of pictures calls itself


class ImagePictures:
    """The pictures of an image as Pillow decodes them, one after the other.

    Attributes:
        delays: seconds that each of them claims to stay, as far as the file is there. Where several pictures
            are no animation but pages or views, there is one.
        size: (width, height) that all of them fit into.
        canvas: the picture after `seek`.
    """

    def __init__(self, path: str, image: ImageFile) -> None:
        """`image`: the opened file at `path`."""
        self.canvas = image
        width, height = image.size
        with open(path, "rb") as file:
            if isinstance(image, GifImageFile):
                self.delays, (widest, highest) = _gif(file)
                width, height = max(width, widest), max(height, highest)
            elif image.format == "WEBP":
                self.delays = _webp(file)
            elif image.format == "AVIF":
                # Its table can promise any number in a few bytes; the decoder has a limit.
                self.delays = list(islice(_avif(file), getattr(image, "n_frames", 1)))
            else:
                self.delays = []
        self.delays = self.delays or [0.0]
        self.size: Size = (width, height)

    def seek(self, number: int) -> None:
        """Decode picture `number`. Call it for every picture in order, from 0.

        Raises whatever Pillow does when it is damaged.
        """
        if isinstance(self.canvas, GifImageFile):
            self.canvas.disposal_method = 0  # Pillow would go on with the last one where a picture has none
        # A HEIF image is at its primary picture, which need not be its first.
        if number:
            self.canvas.seek(number)
        if self.canvas.format == "WEBP":
            self.canvas.load()  # else all that are passed would be decoded at once, and nothing could stop it


def timeline(delays: list[float]) -> tuple[np.ndarray, float]:
    """(when every picture appears, float64 [T] in seconds; when the last one ends).

    A single picture is there at 0 and has no end.
    """
    if len(delays) <= 1:
        return np.zeros(1), 0.0
    ends = np.cumsum([delay if delay > SHORTEST_DELAY else USUAL_DELAY for delay in delays])
    return np.concatenate([[0.0], ends[:-1]]), float(ends[-1])


def _gif(file: BinaryIO) -> tuple[list[float], Size]:
    """The delays, and the size that all pictures fit into, which may be more than the header says.

    Every image descriptor is a picture, the delay is in the graphic control extension before it.
    """
    head = file.read(13)
    width, height = struct.unpack_from("<HH", head, 6)
    _skip_colours(file, head[10])
    delays: list[float] = []
    delay, begun = 0.0, False
    # Between blocks, Pillow passes over bytes that mean nothing.
    while (introducer := file.read(1)) not in (b"", b";"):
        if introducer == b"!":
            control = file.read(1) == b"\xf9"
            block = file.read(int.from_bytes(file.read(1), "big"))
            if control:
                begun = True
                delay = int.from_bytes(block[1:3], "little") / 100
            if block:
                _skip_blocks(file)
        elif introducer == b",":
            begun = True
            if len(descriptor := file.read(9)) < 9:
                continue
            left, top, wide, high, flags = struct.unpack("<HHHHB", descriptor)
            width, height = max(width, left + wide), max(height, top + high)
            _skip_colours(file, flags)
            file.seek(1, os.SEEK_CUR)  # the least size of a code
            delays.append(delay)
            delay, begun = 0.0, False
            _skip_blocks(file)
    if begun and not introducer:
        delays.append(delay)
    return delays, (width, height)


def _skip_colours(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        file.seek(3 << ((flags & 7) + 1), os.SEEK_CUR)


def _skip_blocks(file: BinaryIO) -> None:
    while length := file.read(1):
        if not length[0]:
            return
        file.seek(length[0], os.SEEK_CUR)


def _webp(file: BinaryIO) -> list[float]:
    """Every ANMF chunk is a picture, if the header says that there is an animation."""
    delays: list[float] = []
    size = file.seek(0, os.SEEK_END)
    file.seek(4)
    end = int.from_bytes(file.read(4), "little") + 8
    file.seek(12)
    in_picture = False
    while len(head := file.read(8)) == 8 and file.tell() <= end:
        kind, length = struct.unpack("<4sI", head)
        next_chunk = file.tell() + length + length % 2
        if kind == b"VP8X" and not int.from_bytes(file.read(1), "big") & 2:
            break
        in_picture = kind == b"ANMF" and len(frame := file.read(16)) == 16
        if in_picture:
            delays.append(int.from_bytes(frame[12:15], "little") / 1000)
        file.seek(next_chunk)
    if size < end and delays and not (in_picture and file.tell() > size):
        delays.append(delays[-1])  # a truncated end counts as one picture
    return delays


def shortened_webp(path: str) -> BytesIO | None:
    """A truncated WebP animation up to its last whole picture; None: it is complete, or has not even one.

    Its decoder takes a file only if all of it is there.
    """
    with open(path, "rb") as file:
        data = file.read()
    at, whole = 12, 0
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        at += 8 + length + length % 2
        if kind == b"ANMF" and at <= len(data):
            whole = at
    if not whole or len(data) >= int.from_bytes(data[4:8], "little") + 8:
        return None
    return BytesIO(data[:4] + struct.pack("<I", whole - 8) + data[8:whole])


def _avif(file: BinaryIO) -> Iterator[float]:
    """Every sample of the first track of pictures is one; other tracks hold their transparency."""
    for movie in (box for box in boxes(file) if box.kind == b"moov"):
        for track in within(file, movie, b"trak"):
            for media in within(file, track, b"mdia"):
                if any(number(file, box, 8) == _PICTURES for box in within(file, media, b"hdlr")):
                    yield from _samples(file, media)
                    return


def _samples(file: BinaryIO, media: IsoBox) -> Iterator[float]:
    """The seconds of every sample of a track."""
    ticks = 0  # a second
    for box in within(file, media, b"mdhd"):
        ticks = number(file, box, 20 if number(file, box, 0) >> 24 == 1 else 12)
    for information in within(file, media, b"minf"):
        for table in within(file, information, b"stbl"):
            for box in within(file, table, b"stts"):
                entries = min(number(file, box, 4), (box.end - box.begin - 8) // 8)
                for entry in range(8, 8 * entries + 8, 8):
                    delta = number(file, box, entry + 4)
                    yield from repeat(delta / ticks if ticks else 0.0, number(file, box, entry))
