"""Fragments of HTML for notebooks and reports: pictures that are part of the page, and tables of facts."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def picture_uri(pixels: np.ndarray) -> str:
    """Return a picture, uint8 [H, W, 3] in RGB, as a ``data:`` address that holds it as JPEG."""
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()


def captioned_picture(pixels: np.ndarray, caption: str, *, description: str) -> str:
    """Return a picture as an HTML figure with a CAPTION below it; screen readers read its DESCRIPTION."""
    height, width = pixels.shape[:2]
    return (
        f'<figure style="display:inline-block;margin:0 8px 8px 0"><img src="{picture_uri(pixels)}" '
        f'width="{width}" height="{height}" alt="{escape(description)}" style="max-width:100%;height:auto">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def fact_table(facts: Sequence[tuple[str, str]]) -> str:
    """Return rows of a name and a value as an HTML table that takes the colours of its page."""
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(value)}</td></tr>'
        for name, value in facts
    )
    return f"<table>{rows}</table>"
