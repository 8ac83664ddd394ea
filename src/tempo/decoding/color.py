"""What a file says about its colours: the matrix and the range of its numbers, its primaries and transfer.

Numbers are those of ITU-T H.273, which containers, bitstreams and libav share.
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
    """What a stream or a frame says of its colours; `UNSPECIFIED` where it says nothing."""

    transfer: int = UNSPECIFIED
    primaries: int = UNSPECIFIED
    matrix: int = UNSPECIFIED

    @classmethod
    def of(cls, told: Any) -> Tags:
        """Of a codec context, or of a frame, which tells its matrix alone before version 17 of PyAV."""
        transfer = getattr(told, "color_trc", UNSPECIFIED)
        return cls(transfer, getattr(told, "color_primaries", UNSPECIFIED), told.colorspace)

    def otherwise(self, other: Tags) -> Tags:
        """These, and the other's where these say nothing."""
        return Tags(*(own if own != UNSPECIFIED else its for own, its in zip(self, other, strict=True)))


class Transfer(Enum):
    """How numbers become light."""

    SDR = "sRGB"
    PQ = "SMPTE ST 2084"
    HLG = "ARIB STD-B67"


class Gamut(Enum):
    """What full red, green and blue are."""

    BT709 = "BT.709"
    BT2020 = "BT.2020"
    P3 = "Display P3"


class Colorimetry(NamedTuple):
    """What the RGB of a picture means. The default is what screens and models take RGB for."""

    transfer: Transfer = Transfer.SDR
    gamut: Gamut = Gamut.BT709


_TRANSFERS = {16: Transfer.PQ, 18: Transfer.HLG}
_GAMUTS = {9: Gamut.BT2020, 11: Gamut.P3, 12: Gamut.P3}


@lru_cache
def colorimetry_of(tags: Tags) -> Colorimetry:
    """Only what is tagged as HDR is: ten bits alone are none. Everything of old counts as BT.709."""
    transfer = _TRANSFERS.get(tags.transfer, Transfer.SDR)
    gamut = _GAMUTS.get(tags.primaries, Gamut.BT709)
    is_wide = transfer != Transfer.SDR or tags.matrix in (_BT2020, _BT2020_CONSTANT)
    if tags.primaries == UNSPECIFIED and is_wide:
        gamut = Gamut.BT2020
    return Colorimetry(transfer, gamut)


@lru_cache
def matrix_of(pixel_format: str, tags: Tags, color_range: int) -> dict[str, Any]:
    """Options of a reformatter that make RGB of Y'CbCr by the matrix and the range that the picture tells.

    Before version 17, PyAV takes everything for BT.601 of limited range unless it is told otherwise; since
    then it refuses matrices that libswscale does not know.
    """
    form = av.VideoFormat(pixel_format)
    if form.is_rgb or form.has_palette or len(form.components) < 3:
        return {}
    matrix = _MATRICES.get(tags.matrix, _BT601)
    if tags.matrix == UNSPECIFIED and colorimetry_of(tags).gamut == Gamut.BT2020:
        matrix = _BT2020
    options: dict[str, Any] = {"src_colorspace": matrix, "dst_colorspace": _BT601}
    if color_range == _FULL or pixel_format.startswith("yuvj"):
        options["src_color_range"] = _FULL
    return options
