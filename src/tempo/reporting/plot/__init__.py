"""Draws relevance and tokens over time, with frames of the strongest moments.

:func:`draw` lays out a :class:`Figure`: shapes with coordinates, which one small module a format writes. It
needs only Pillow, and the files refer to nothing outside themselves.
"""

from .figure import Figure
from .layout import draw
from .png import to_png
from .svg import to_svg
from .thumbnails import Thumbnail, thumbnails

__all__ = ["Figure", "Thumbnail", "draw", "thumbnails", "to_png", "to_svg"]
