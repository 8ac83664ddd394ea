"""Writes a drawing as PNG, drawn by Pillow."""

from __future__ import annotations

import io
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from .shapes import (
    Drawing,
    Label,
    LineSegment,
    Picture,
    Rectangle,
)

SCALE = 2  # pixels of the file for one of the drawing
# Pillow's own font has these and no accents. For other texts, the first font that the system has.
PLAIN_SIGNS = frozenset("–—…·“”‘’")
WIDE_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "Arial Unicode.ttf",
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "Arial.ttf",
)
ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}


def to_png(drawing: Drawing) -> bytes:
    """Return DRAWING as a PNG file, twice its size in pixels."""
    image = Image.new("RGB", (drawing.width * SCALE, drawing.height * SCALE), "#ffffff")
    pen = ImageDraw.Draw(image)
    for shape in drawing.shapes:
        match shape:
            case Rectangle(x, y, width, height, fill) if fill and width > 0 and height > 0:
                left, top = round(x * SCALE), round(y * SCALE)
                right, bottom = round((x + width) * SCALE), round((y + height) * SCALE)
                # Pillow draws the last pixel too.
                pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), fill)
            case LineSegment(x1, y1, x2, y2, colour, width):
                ends = [round(value * SCALE) for value in (x1, y1, x2, y2)]
                pen.line(ends, colour, max(1, round(width * SCALE)))
            case Label(x, y, text, size, colour, anchor, bold):
                # There is one weight; a thin outline makes it bold.
                pen.text(
                    (x * SCALE, y * SCALE),
                    text,
                    colour,
                    font=_font(size * SCALE, _is_plain(text)),
                    anchor=ANCHORS[anchor],
                    stroke_width=1 if bold else 0,
                )
            case Picture(x, y, width, height, pixels):
                wanted = (max(1, round(width * SCALE)), max(1, round(height * SCALE)))
                shown = Image.fromarray(pixels).resize(wanted, Image.Resampling.LANCZOS)
                image.paste(shown, (round(x * SCALE), round(y * SCALE)))
    data = io.BytesIO()
    image.save(data, "PNG", optimize=True)
    return data.getvalue()


def _is_plain(text: str) -> bool:
    return all(c.isascii() or c in PLAIN_SIGNS for c in text)


@cache
def _font(size: int, plain: bool) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    if not plain:
        for name in WIDE_FONTS:
            try:
                return ImageFont.truetype(name, size)
            except OSError:
                continue
    return ImageFont.load_default(size)
