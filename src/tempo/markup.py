"""Fragments of HTML for notebooks and reports: pictures and tables that take the colours of the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from tempo.formatting import clock

if TYPE_CHECKING:
    import numpy as np


def jpeg(pixels: np.ndarray) -> bytes:
    """Return a picture, uint8 [H, W, 3] in RGB, as JPEG."""
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=85)
    return data.getvalue()


def picture_uri(pixels: np.ndarray) -> str:
    """Return the same as a ``data:`` address."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(pixels)).decode()


def fact_table(facts: Sequence[tuple[str, str]]) -> str:
    """Return rows of a name and a value as an HTML table that takes the colours of its page."""
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(value)}</td></tr>'
        for name, value in facts
    )
    return f"<table>{rows}</table>"


def film_strip(frames: Iterable[tuple[float, np.ndarray]], *, height: int = 90) -> str:
    """Return pictures side by side, each with its time in seconds below it, HEIGHT pixels high."""
    pictures = "".join(
        f'<figure style="display:inline-block;margin:0 6px 6px 0"><img src="{picture_uri(pixels)}" '
        f'height="{height}" alt="{clock(time)}"><figcaption>{clock(time)}</figcaption></figure>'
        for time, pixels in frames
    )
    return f"<div>{pictures}</div>"
