"""Computes display sizes: with square pixels, and of a picture fitted into a frame of another shape."""

from __future__ import annotations

from fractions import Fraction

from tempo.video.frames import Size

WIDEST_PIXEL = 4  # times as wide as high, or as high as wide: more is an error of the file
FILLED = 0.98  # of the frame's width and height: from there on the rest is rounding and gets no bars


def pixel_aspect(*ratios: Fraction | None) -> Fraction:
    """The first plausible sample aspect ratio (width ÷ height of a pixel); 1 if none is."""
    for ratio in ratios:
        if ratio is not None and Fraction(1, WIDEST_PIXEL) <= ratio <= WIDEST_PIXEL:
            return ratio
    return Fraction(1)


def square(size: Size, aspect: Fraction) -> Size:
    """The size at which pixels of that aspect are square. One edge grows and none shrinks, as in browsers."""
    width, height = size
    if aspect >= 1:
        return round(width * aspect), height
    return width, round(height / aspect)


def fit(picture: Size, *, frame: Size, pixels: Size) -> Size:
    """The largest size in a frame at which a picture keeps its proportions.

    Args:
        picture: what is to be shown, in square pixels.
        frame: the same of the pictures that the frame was made for.
        pixels: the size of the frame as it is asked for, which may be of other proportions than `frame`.
    """
    scale = min(frame[0] / picture[0], frame[1] / picture[1])
    width, height = (edge * scale * p / f for edge, p, f in zip(picture, pixels, frame, strict=True))
    if width >= FILLED * pixels[0] and height >= FILLED * pixels[1]:
        return pixels
    return max(1, min(round(width), pixels[0])), max(1, min(round(height), pixels[1]))
