"""Pictures of an allocation: relevance and tokens over time, with frames of the strongest moments.

:func:`plot` draws an answer and :func:`save` writes the figure as PNG, SVG or HTML. A figure is a list of
shapes with coordinates (:mod:`.figure`), arranged once (:mod:`.layout`) and written out by one
small module a format. Nothing is needed but Pillow, and nothing in a file points outside it.
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
