"""Tone-maps HDR and wide-gamut pictures to sRGB.

The light of every pixel is computed as the standards say (SMPTE ST 2084; ITU-R BT.2100 for HLG, on a display
of 1000 cd/m²), turned to BT.709's primaries and brought into range by one fixed curve. Where FFmpeg's
`haldclut` filter is there, it looks the result up in a table, which costs about as much as the conversion of
Y'CbCr before it; else it is computed for every pixel.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import av
import av.filter
import av.filter.context
import av.video.frame
import numpy as np

from tempo.video.frames import Size

from .color import Colorimetry, Gamut, Transfer

SIGNAL_FORMAT = "gbrp16le"  # what pictures come in, full range
# cd/m² that become SDR's white before the curve. Files put their white at 100 (as SDR is mastered) to 203
# (ITU-R BT.2408); between the two, either comes out near to what it was.
WHITE = 128.0
KNEE = 0.6  # of white: up to there nothing but the scale changes
PEAK = 1000.0  # cd/m² that become full white, and all that is brighter with it
HLG_PEAK, HLG_GAMMA = 1000.0, 1.2  # of the display that HLG is made for
# Of that gamma, the share that each component has for itself instead of all by their luminance. The standard
# has none; FFmpeg's zscale, which much HLG is made with, has nothing else.
HLG_APART = 0.2
LEVEL = 7  # of the table: 7² values of red, green and blue each
ROWS = 64  # that are computed at once without a table
_TO_BT709 = {
    Gamut.BT709: np.eye(3),
    Gamut.BT2020: np.array(
        [[1.66049, -0.58764, -0.07285], [-0.12455, 1.13290, -0.00835], [-0.01815, -0.10058, 1.11873]]
    ),
    Gamut.P3: np.array([[1.22494, -0.22494, 0.0], [-0.04206, 1.04206, 0.0], [-0.01964, -0.07864, 1.09828]]),
}
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593])  # of BT.2020, by which HLG is brightened


def to_sdr(signal: np.ndarray, colorimetry: Colorimetry) -> np.ndarray:
    """R'G'B' [..., 3] from 0 to 1 → the same for an ordinary screen, float32."""
    signal = signal.astype(np.float32)
    light = _to_light(signal, colorimetry.transfer) @ _TO_BT709[colorimetry.gamut].T.astype(np.float32)
    if colorimetry.transfer != Transfer.SDR:
        light = _roll_off(light / WHITE)
    light = np.clip(light, 0.0, 1.0)
    shown: np.ndarray = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return shown


def _to_light(signal: np.ndarray, transfer: Transfer) -> np.ndarray:
    """cd/m² of HDR; of SDR, the share of its white."""
    if transfer == Transfer.SDR:
        return np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
    if transfer == Transfer.PQ:
        root = signal ** (32 / 2523)
        return 1e4 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (16384 / 2610)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    together = np.maximum(scene @ _LUMINANCE.astype(np.float32), 1e-9)[..., None]
    brightness = together ** (1 - HLG_APART) * scene**HLG_APART
    return HLG_PEAK * brightness ** (HLG_GAMMA - 1) * scene


def _roll_off(light: np.ndarray) -> np.ndarray:
    """Bring light between the knee and the peak below 1. The largest component decides, so that hues stay."""
    largest = np.maximum(light.max(-1, keepdims=True), 1e-6)
    output_range, input_range = 1 - KNEE, PEAK / WHITE - KNEE  # above the knee
    above = largest - KNEE
    rolled = KNEE + above / (1 + above * (input_range - output_range) / (output_range * input_range))
    result: np.ndarray = light * np.where(above > 0, rolled / largest, 1)
    return result


class ToneMapper:
    """Converts pictures of one colorimetry to sRGB. For one thread."""

    def __init__(self, colorimetry: Colorimetry) -> None:
        self.colorimetry = colorimetry
        self._filter: _TableFilter | None = None

    def __call__(self, frame: av.video.frame.VideoFrame) -> np.ndarray:
        """A picture in `SIGNAL_FORMAT` → uint8 [H, W, 3]."""
        if "haldclut" not in av.filter.filters_available:
            return _compute(frame, self.colorimetry)
        size = (frame.width, frame.height)
        if self._filter is None or self._filter.size != size:
            self._filter = _TableFilter(size, _table_of(self.colorimetry)[..., _order()])
        return self._filter(frame)


def _compute(frame: av.video.frame.VideoFrame, colorimetry: Colorimetry) -> np.ndarray:
    signal = frame.to_ndarray()
    picture = np.empty(signal.shape, np.uint8)
    for top in range(0, len(signal), ROWS):
        rows = slice(top, top + ROWS)
        picture[rows] = to_sdr(signal[rows] / np.float32(65535), colorimetry) * 255 + 0.5
    return picture


@lru_cache
def _table_of(colorimetry: Colorimetry) -> np.ndarray:
    """The lookup table of evenly spaced red, green and blue: uint16 [7³, 7³, 3].

    The upper byte is the rounded value. Red runs fastest, then green, then blue.
    """
    values = np.linspace(0, 1, LEVEL**2, dtype=np.float32)
    blue, green, red = np.meshgrid(values, values, values, indexing="ij")
    shown = to_sdr(np.stack([red, green, blue], axis=-1), colorimetry)
    table: np.ndarray = (shown * 0xFF00 + 0x80).astype(np.uint16)
    return table.reshape(LEVEL**3, LEVEL**3, 3)


@lru_cache
def _order() -> list[int]:
    """How red, green and blue have to be ordered in a table. The filter of FFmpeg 7 and 8 takes the planes of
    one, which are green, blue and red, for red, green and blue; so a table of one colour is asked."""
    table = np.full((8, 8, 3), (0x2000, 0x8000, 0xE000), np.uint16)
    picture = av.VideoFrame.from_ndarray(table, format=SIGNAL_FORMAT)
    order: list[int] = _TableFilter((8, 8), table)(picture)[0, 0].argsort().tolist()
    return order


class _TableFilter:
    """FFmpeg's `haldclut` for pictures of one size: tetrahedral interpolation in a table."""

    def __init__(self, size: Size, table: np.ndarray) -> None:
        self.size = size
        self._graph = av.filter.Graph()  # has to outlive its filters
        self._source, tables = self._add_source(*size), self._add_source(*table.shape[1::-1])
        look_up = self._graph.add("haldclut", "clut=first:interp=tetrahedral")
        self._sink = self._graph.add("buffersink")
        self._source.link_to(look_up, 0, 0)
        tables.link_to(look_up, 0, 1)
        look_up.link_to(self._sink)
        self._graph.configure()
        self._count = 0
        self._push(tables, av.VideoFrame.from_ndarray(np.ascontiguousarray(table), format=SIGNAL_FORMAT))
        tables.push(None)

    def _add_source(self, width: int, height: int) -> av.filter.context.FilterContext:
        looks = f"pix_fmt={SIGNAL_FORMAT}:colorspace=gbr:range=pc:pixel_aspect=1/1"
        return self._graph.add("buffer", f"video_size={width}x{height}:{looks}:time_base=1/25")

    def _push(self, source: av.filter.context.FilterContext, frame: av.video.frame.VideoFrame) -> None:
        # Its tags are still those of the Y'CbCr that it was made of.
        frame.colorspace, frame.color_range = 0, 2
        frame.pts = self._count
        source.push(frame)

    def __call__(self, frame: av.video.frame.VideoFrame) -> np.ndarray:
        """uint8 [H, W, 3], the upper bytes of what the table has for the picture."""
        self._push(self._source, frame)
        self._count += 1
        shown: Any = self._sink.pull()
        planes = (shown.planes[place] for place in (2, 0, 1))  # they are green, blue, red
        rows = (np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size) for plane in planes)
        return np.stack([row[: shown.height, 1 : 2 * shown.width : 2] for row in rows], axis=-1)
