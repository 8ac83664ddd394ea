"""Plots an answer: relevance and tokens over time, with frames of the strongest moments.

:func:`plot` draws an answer and :func:`save` writes the figure as PNG, SVG or HTML. A figure is a list of
shapes with coordinates (:mod:`.figure`), laid out once (:mod:`.layout`) and written by one small module a
format. It needs only Pillow, and the files are self-contained.
"""

from .figure import Figure
from .html import to_html
from .image_output import FORMATS, check_path, save
from .layout import draw, plot
from .png import to_png
from .svg import to_svg
from .thumbnails import Thumbnail, thumbnails

__all__ = [
    "FORMATS",
    "Figure",
    "Thumbnail",
    "check_path",
    "draw",
    "plot",
    "save",
    "thumbnails",
    "to_html",
    "to_png",
    "to_svg",
]
