"""Renders a report as one self-contained HTML page: charts as SVG, tables below them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tempo.reporting.plot.figure import Figure
from tempo.reporting.plot.svg import to_svg

from .page_head import FONT, page_head
from .tables import Table, to_html

_STYLE = """\
body {{ margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1f2933;
  font-family: {font}; line-height: 1.4; }}
svg {{ max-width: 100%; height: auto; border: 1px solid #d5dce3; border-radius: 8px; margin: .5rem 0; }}
.wide {{ overflow-x: auto; }}
td, th {{ overflow-wrap: anywhere; }}
table {{ max-width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #d5dce3; }}
th:first-child, td:first-child, .words td, .words th {{ text-align: left; }}
p {{ color: #57606a; max-width: 44rem; }}
"""
_BODY = """\
<body>
<h1>{title}</h1>
{before}
{plots}
{tables}
</body>
</html>
"""


def to_page(
    title: str, figures: Sequence[Figure], tables: Sequence[Table], *, before: Sequence[str] = ()
) -> str:
    """The whole page: `before` are paragraphs above the charts."""
    return page_head(title, _STYLE.format(font=FONT)) + _BODY.format(
        title=escape(title),
        before="\n".join(f"<p>{escape(one)}</p>" for one in before),
        plots="\n".join(map(to_svg, figures)),
        tables="\n".join(map(to_html, tables)),
    )
