"""Decodes animated PNG, composing its pictures as the specification says (https://www.w3.org/TR/png-3/).

Pillow reads them too, but composes an animation over a default image that is not part of it, blends half-
transparent pixels with a cleared canvas as if that were black, and disposes of pictures differently from
version to version.
"""

from __future__ import annotations

import os
import struct
import zlib
from io import BytesIO
from typing import BinaryIO, NamedTuple

from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from tempo.video.frames import Size

from .image_files import to_8_bits

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CLEAR, RESTORE = 1, 2  # what happens to a picture's region after it; 0: it stays
OVER = 1  # a picture is composed over the canvas; 0: it replaces it
_SHARED = (b"PLTE", b"tRNS")  # chunks that mean the same for every picture


class Layer(NamedTuple):
    """One picture of an animation."""

    delay: float  # seconds, as the file says
    box: tuple[int, int, int, int]  # left, top, right, bottom on the canvas
    disposal: int
    blending: int
    data: list[tuple[int, int]]  # where its compressed pixels are in the file: (offset, length)


class AnimatedPng:
    """The pictures of a PNG animation, one after the other.

    Attributes:
        delays: seconds that each of them claims to stay; none of a still image. What is missing at the end of
            a file that is cut off counts as one picture.
        size: (width, height) of all of them.
        canvas: RGBA, the picture after `seek`.
    """

    def __init__(self, path: str) -> None:
        """Read the structure of the file at `path`, which is a PNG; nothing is decoded."""
        self._path = path
        self._layers: list[Layer] = []
        self._header = b""
        self._shared: list[bytes] = []
        self._exif = b""
        self._read()
        self.delays = [layer.delay for layer in self._layers]
        self.size: Size = struct.unpack_from(">II", self._header)
        self.canvas = Image.new("RGBA", (1, 1))
        self._covered: Image.Image | None = None  # what to restore after the latest picture

    def _read(self) -> None:
        promised, kind = 0, b""
        with open(self._path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(len(SIGNATURE))
            while kind != b"IEND" and len(head := file.read(8)) == 8:
                length, kind = struct.unpack(">I4s", head)
                begin = file.tell()
                if kind == b"IHDR":
                    self._header = file.read(13)
                elif kind in _SHARED:
                    self._shared.append(chunk(kind, file.read(length)))
                elif kind == b"eXIf":
                    self._exif = b"Exif\0\0" + file.read(length)
                elif kind == b"acTL":
                    promised = int.from_bytes(file.read(4), "big")
                elif kind == b"fcTL" and len(control := file.read(26)) == 26:
                    self._layers.append(_layer(control))
                # Image data before the first picture is for readers without animation.
                elif kind == b"IDAT" and self._layers:
                    self._layers[-1].data.append((begin, length))
                elif kind == b"fdAT" and self._layers:
                    self._layers[-1].data.append((begin + 4, max(0, length - 4)))
                if kind == b"IDAT" and not promised:
                    break  # it is a still image
                file.seek(begin + length + 4)  # behind the checksum
            cut_off = kind != b"IEND" and not (kind in (b"IDAT", b"fdAT") and file.tell() > size)
        if cut_off and self._layers:
            self._layers.append(self._layers[-1]._replace(data=[]))
        del self._layers[promised:]

    def seek(self, number: int) -> None:
        """Draw picture `number`. Call it for every picture in order, from 0.

        Raises whatever Pillow does when it is damaged.
        """
        layer = self._layers[number]
        pixels = self._decode(layer)
        if number:
            self._dispose(self._layers[number - 1])
        else:
            self.canvas = Image.new("RGBA", self.size)
            self.canvas.info["exif"] = self._exif
        before = self.canvas.crop(layer.box)
        self._covered = before if layer.disposal == RESTORE else None
        if layer.blending == OVER:
            pixels = Image.alpha_composite(before, pixels)
        self.canvas.paste(pixels, layer.box)

    def _dispose(self, layer: Layer) -> None:
        if self._covered is not None:
            self.canvas.paste(self._covered, layer.box)
        elif layer.disposal == CLEAR:
            self.canvas.paste((0, 0, 0, 0), layer.box)

    def _decode(self, layer: Layer) -> Image.Image:
        """RGBA pixels of one picture, as a PNG of its own."""
        left, top, right, bottom = layer.box
        if not (left < right <= self.size[0] and top < bottom <= self.size[1]):
            raise ValueError("a picture that is not on the canvas")
        header = struct.pack(">II", right - left, bottom - top) + self._header[8:]
        with open(self._path, "rb") as file:
            data = b"".join(_part(file, *where) for where in layer.data)
        still = [SIGNATURE, chunk(b"IHDR", header), *self._shared, chunk(b"IDAT", data), chunk(b"IEND", b"")]
        with PngImageFile(BytesIO(b"".join(still))) as image:
            image.load()
            return to_8_bits(image).convert("RGBA")


def _layer(control: bytes) -> Layer:
    """From the content of an fcTL chunk."""
    _, width, height, left, top, numerator, denominator, disposal, blending = struct.unpack(
        ">5I2H2B", control
    )
    box = (left, top, left + width, top + height)
    return Layer(numerator / (denominator or 100), box, disposal, blending, [])


def _part(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)


def chunk(kind: bytes, content: bytes) -> bytes:
    """A PNG chunk, with its length and checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
