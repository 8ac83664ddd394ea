"""Writes a figure as an HTML page, with a line that describes the segment under the pointer."""

from __future__ import annotations

from xml.sax.saxutils import escape

from .figure import Figure
from .svg import to_svg

# Everything is in the page: no script, style, font or picture is fetched.
PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ margin: 1rem auto; max-width: {width}px; padding: 0 1rem; background: #f6f8fa; color: #1f2933;
  font-family: Helvetica, Arial, "DejaVu Sans", "Noto Sans", sans-serif; }}
svg {{ width: 100%; height: auto; border: 1px solid #d5dce3; border-radius: 8px; }}
.segment:hover, .segment.chosen {{ fill: #1f2933; fill-opacity: .12; }}
output {{ display: block; min-height: 1.5em; padding: .5rem 0; font-variant-numeric: tabular-nums; }}
</style>
</head>
<body>
{svg}<output id="readout">Point at a segment, or touch it.</output>
<script>
const readout = document.getElementById("readout");
for (const segment of document.querySelectorAll(".segment")) {{
  const say = () => {{
    for (const other of document.querySelectorAll(".chosen")) other.classList.remove("chosen");
    segment.classList.add("chosen");
    readout.textContent = segment.querySelector("title").textContent;
  }};
  segment.addEventListener("pointerenter", say);
  segment.addEventListener("click", say);
}}
</script>
</body>
</html>
"""


def to_html(figure: Figure) -> str:
    """Return FIGURE as an HTML page."""
    return PAGE.format(title=escape(figure.title), width=figure.width, svg=to_svg(figure))
