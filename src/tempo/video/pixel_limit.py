"""Limits the pixels of a picture: a few bytes of a file can promise more than any memory holds."""

from __future__ import annotations

import math
import os

from tempo.errors import TempoError, UsageError

from .frames import Size

LIMIT_VARIABLE = "TEMPO_IMAGE_MEGAPIXELS"
DEFAULT_LIMIT = 128.0  # megapixels of one picture
PICTURES_OF_LIMIT = 32  # an animation may have so many times the pixels of one picture


def limit_in_pixels() -> float:
    """The most pixels that a picture may have. Raises UsageError if the environment variable is no number."""
    given = os.environ.get(LIMIT_VARIABLE, str(DEFAULT_LIMIT))
    try:
        megapixels = float(given)
    except ValueError:
        megapixels = math.nan
    if not megapixels > 0:
        raise UsageError(f"{LIMIT_VARIABLE}={given!r} is not a number of megapixels above 0")
    return megapixels * 1e6


def check_pixels(path: str, size: Size, pictures: int = 1) -> None:
    """Raise TempoError for what is too large, before anything of it is decoded."""
    limit = limit_in_pixels()
    width, height = size
    if width * height > limit:
        what = f"the picture is too large: {width:,} × {height:,} pixels"
    elif width * height * pictures > limit * PICTURES_OF_LIMIT:
        limit *= PICTURES_OF_LIMIT
        what = f"the animation is too large: {pictures:,} pictures of {width:,} × {height:,} pixels"
    else:
        return
    megapixels = f"{limit / 1e6:,.6g} megapixels"
    raise TempoError(
        f"{path}: {what}, and the limit is {megapixels}; make it smaller, or raise {LIMIT_VARIABLE}"
    )
