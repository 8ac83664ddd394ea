"""Which colours the numbers of a decoded picture stand for."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import av
import av.video.reformatter

_FULL = av.video.reformatter.ColorRange.JPEG
# Matrices by their number in ITU-T H.273, of which libswscale knows these; it takes the others for BT.601.
_BT709, _FCC, _BT601, _SMPTE240, _BT2020, _BT2020_CONSTANT = 1, 4, 5, 7, 9, 10
_MATRICES = {_BT709: _BT709, _FCC: _FCC, _SMPTE240: _SMPTE240, _BT2020: _BT2020, _BT2020_CONSTANT: _BT2020}


@lru_cache
def matrix_of(pixel_format: str, colorspace: int, color_range: int) -> dict[str, Any]:
    """Options of a reformatter that make RGB of Y'CbCr by the matrix and the range that the picture tells.

    Before version 17, PyAV takes everything for BT.601 of limited range unless it is told otherwise; since
    then it refuses matrices that libswscale does not know.
    """
    form = av.VideoFormat(pixel_format)
    if form.is_rgb or len(form.components) < 3:
        return {}
    options: dict[str, Any] = {"src_colorspace": _MATRICES.get(colorspace, _BT601), "dst_colorspace": _BT601}
    if color_range == _FULL or pixel_format.startswith("yuvj"):
        options["src_color_range"] = _FULL
    return options
