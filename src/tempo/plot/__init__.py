"""Pictures of an allocation: relevance and tokens over time, with frames of the strongest moments.

:func:`plot` draws an answer and :func:`save` writes the drawing as PNG, SVG or HTML. A drawing is a list of
shapes with coordinates (:mod:`tempo.plot.shapes`), arranged once (:mod:`tempo.plot.layout`) and written out
by one small module a format. Nothing is needed but Pillow, and nothing in a file points outside it.
"""

from tempo.plot.files import FORMATS, check_path, save
from tempo.plot.html import to_html
from tempo.plot.layout import draw, plot
from tempo.plot.png import to_png
from tempo.plot.shapes import Drawing
from tempo.plot.svg import to_svg
from tempo.plot.thumbnails import Thumbnail, thumbnails

__all__ = [
    "FORMATS",
    "Drawing",
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
