"""Writes a drawing as self-contained SVG: text stays text, pictures are embedded."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from tempo.markup import picture_uri

from .shapes import (
    Drawing,
    Label,
    LineSegment,
    Picture,
    Rectangle,
    Shape,
)

FONTS = "Helvetica, Arial, 'DejaVu Sans', 'Noto Sans', sans-serif"


def to_svg(drawing: Drawing) -> str:
    """Return DRAWING as an SVG document."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {drawing.width} {drawing.height}"'
        f' width="{drawing.width}" height="{drawing.height}" role="img" font-family="{FONTS}">',
        f"<title>{escape(drawing.title)}</title>",
        f'<rect width="{drawing.width}" height="{drawing.height}" fill="#ffffff"/>',
        *map(_element, drawing.shapes),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _element(shape: Shape) -> str:
    match shape:
        case Rectangle(x, y, width, height, fill, hint):
            look = f'fill="{fill}"' if fill else 'class="segment" fill="transparent"'
            return _closed(f"<rect {_box(x, y, width, height)} {look}", "rect", hint)
        case LineSegment(x1, y1, x2, y2, colour, width):
            ends = f'x1="{_number(x1)}" y1="{_number(y1)}" x2="{_number(x2)}" y2="{_number(y2)}"'
            return f'<line {ends} stroke="{colour}" stroke-width="{_number(width)}"/>'
        case Label(x, y, text, size, colour, anchor, bold):
            place = f'x="{_number(x)}" y="{_number(y)}" font-size="{size}" fill="{colour}"'
            more = f' text-anchor="{anchor}"' * (anchor != "start") + ' font-weight="700"' * bold
            return f"<text {place}{more}>{escape(text)}</text>"
        case Picture(x, y, width, height, pixels, hint):
            address = quoteattr(picture_uri(pixels))
            return _closed(f"<image {_box(x, y, width, height)} href={address}", "image", hint)


def _closed(opening: str, name: str, hint: str) -> str:
    return f"{opening}><title>{escape(hint)}</title></{name}>" if hint else f"{opening}/>"


def _box(x: float, y: float, width: float, height: float) -> str:
    return f'x="{_number(x)}" y="{_number(y)}" width="{_number(width)}" height="{_number(height)}"'


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
