"""The beginning of every report in HTML: what a browser has to know of a page that is whole in itself."""

from __future__ import annotations

from html import escape

FONT = 'Helvetica, Arial, "DejaVu Sans", "Noto Sans", sans-serif'


def page_head(title: str, style: str, *, script: bool = False) -> str:
    """Return everything before the page's body. It fetches nothing: its own policy forbids it.

    Args:
        title: plain text.
        style: the page's CSS.
        script: whether the page has a script of its own.
    """
    allowed = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    if script:
        allowed += "; script-src 'unsafe-inline'"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{allowed}">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n"
    )
