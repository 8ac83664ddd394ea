"""Reads the colour tags of a file: matrix, range, primaries and transfer function.

Their values are those of ITU-T H.273, which containers, bitstreams and FFmpeg share.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Any, NamedTuple

import av
import av.video.reformatter

UNSPECIFIED = 2
_FULL = av.video.reformatter.ColorRange.JPEG
# Matrices that libswscale knows; it is given BT.601 for the others.
_BT709, _FCC, _BT601, _SMPTE240, _BT2020, _BT2020_CONSTANT = 1, 4, 5, 7, 9, 10
_MATRICES = {_BT709: _BT709, _FCC: _FCC, _SMPTE240: _SMPTE240, _BT2020: _BT2020, _BT2020_CONSTANT: _BT2020}


class Tags(NamedTuple):
    """The colour tags of a stream or a frame; `UNSPECIFIED` where it has none."""

    transfer: int = UNSPECIFIED
    primaries: int = UNSPECIFIED
    matrix: int = UNSPECIFIED

    @classmethod
    def of(cls, source: Any) -> Tags:
        """Of a codec context or a frame, which has only its matrix before PyAV 17."""
        transfer = getattr(source, "color_trc", UNSPECIFIED)
        return cls(transfer, getattr(source, "color_primaries", UNSPECIFIED), source.colorspace)


@lru_cache
def first_specified(*sources: Tags) -> Tags:
    """For each tag, the value of the first source that has it."""
    columns = zip(*sources, strict=True)
    return Tags(*(next((tag for tag in column if tag != UNSPECIFIED), UNSPECIFIED) for column in columns))


class Transfer(Enum):
    """Transfer functions, which map signal values to light."""

    SDR = "sRGB"
    PQ = "SMPTE ST 2084"
    HLG = "ARIB STD-B67"


class Gamut(Enum):
    """Colour gamuts: what full red, green and blue are."""

    BT709 = "BT.709"
    BT2020 = "BT.2020"
    P3 = "Display P3"


class Colorimetry(NamedTuple):
    """What the RGB values of a picture mean. The default is what screens and models expect."""

    transfer: Transfer = Transfer.SDR
    gamut: Gamut = Gamut.BT709


_TRANSFERS = {16: Transfer.PQ, 18: Transfer.HLG}
_GAMUTS = {9: Gamut.BT2020, 11: Gamut.P3, 12: Gamut.P3}


class Coding(NamedTuple):
    """How to convert a picture to RGB, and what the result means.

    Attributes:
        options: for PyAV's reformatter: the picture's matrix and range.
        colorimetry, is_standard: of the RGB, and whether it is the default.
    """

    options: dict[str, Any]
    colorimetry: Colorimetry
    is_standard: bool


@lru_cache
def coding_of(pixel_format: str, tags: Tags, color_range: int) -> Coding:
    """HDR is what is tagged as such, not ten bits alone. Primaries that are not wide count as BT.709."""
    transfer = _TRANSFERS.get(tags.transfer, Transfer.SDR)
    gamut = _GAMUTS.get(tags.primaries, Gamut.BT709)
    is_wide = transfer != Transfer.SDR or tags.matrix in (_BT2020, _BT2020_CONSTANT)
    if tags.primaries == UNSPECIFIED and is_wide:
        gamut = Gamut.BT2020
    matrix = _MATRICES.get(tags.matrix, _BT601)
    if tags.matrix == UNSPECIFIED and gamut == Gamut.BT2020:
        matrix = _BT2020
    colorimetry = Colorimetry(transfer, gamut)
    return Coding(_options_of(pixel_format, matrix, color_range), colorimetry, colorimetry == Colorimetry())


def _options_of(pixel_format: str, matrix: int, color_range: int) -> dict[str, Any]:
    """Options that make PyAV's reformatter use a matrix and a range.

    Before version 17, PyAV assumes BT.601 of limited range by default; since then it refuses matrices
    that libswscale does not know.
    """
    form = av.VideoFormat(pixel_format)
    if form.is_rgb or form.has_palette or len(form.components) < 3:
        return {}
    options: dict[str, Any] = {"src_colorspace": matrix, "dst_colorspace": _BT601}
    if color_range == _FULL or pixel_format.startswith("yuvj"):
        options["src_color_range"] = _FULL
    return options
