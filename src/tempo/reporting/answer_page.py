"""Renders an answer as one HTML page: question, answer, moments with frames, the charts, and what it took.

The page is self-contained, fetches nothing (its own policy forbids it), follows the reader's light or dark
setting, and has everything that the chart shows in a table as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tempo.formatting import clock, clock_span, printable
from tempo.markup import picture_uri
from tempo.moments import Moment, Routed, nothing_stands_out, strongest

from .page_head import FONT, page_head
from .plot.layout import INK, PLAIN, RULE, SOFT, STRONG, STRONG_TOKENS, TOKENS, draw
from .plot.svg import to_svg
from .plot.thumbnails import Thumbnail

# The chart's colours on a dark page.
_DARK = {
    "#ffffff": "#12171d",
    INK: "#e8edf2",
    SOFT: "#a8b3bd",
    RULE: "#36414c",
    PLAIN: "#3c6a89",
    STRONG: "#56b4e9",
    TOKENS: "#84512f",
    STRONG_TOKENS: "#ff9a57",
}
_DARK_CHART = "\n".join(
    f'  svg [fill="{light}"] {{ fill: {dark}; }} svg [stroke="{light}"] {{ stroke: {dark}; }}'
    for light, dark in _DARK.items()
)
_STYLE = """\
:root {{ color-scheme: light dark; --page: #f6f8fa; --card: #ffffff; --ink: #1f2933; --soft: #57606a;
  --rule: #d5dce3; --warn: #fff4d6; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --page: #0b0f14; --card: #12171d; --ink: #e8edf2; --soft: #a8b3bd; --rule: #36414c;
    --warn: #3a2f10; }}
{dark_chart}
}}
body {{ margin: 0; background: var(--page); color: var(--ink); line-height: 1.45;
  font-family: {font}; }}
main {{ max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }}
h1 {{ font-size: 1.15rem; font-weight: 400; margin: 0; overflow-wrap: anywhere; }}
h2 {{ font-size: 1rem; margin: 2rem 0 .75rem; }}
.answer {{ font-size: 1.5rem; font-weight: 700; margin: .5rem 0 0; white-space: pre-line;
  overflow-wrap: anywhere; }}
.soft, figcaption {{ color: var(--soft); margin: .5rem 0 0; overflow-wrap: anywhere; }}
.warning {{ background: var(--warn); border-radius: 8px; padding: .6rem .8rem; margin: 1rem 0 0; }}
.moments {{ list-style: none; margin: 0; padding: 0; display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); }}
.moments figure {{ margin: 0; }}
.moments img {{ width: 100%; height: auto; border-radius: 8px; display: block; }}
figcaption {{ font-size: .875rem; font-variant-numeric: tabular-nums; }}
figcaption b {{ color: var(--ink); display: block; font-size: 1rem; }}
svg {{ width: 100%; height: auto; border: 1px solid var(--rule); border-radius: 8px; }}
.segment:hover, .segment.chosen {{ fill: var(--ink); fill-opacity: .12; }}
output {{ display: block; min-height: 1.5em; padding: .25rem 0; font-variant-numeric: tabular-nums; }}
.wide {{ overflow-x: auto; }} .wide svg {{ min-width: 32rem; box-sizing: border-box; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .25rem 1rem .25rem 0; text-align: right; border-bottom: 1px solid var(--rule); }}
th:first-child, td:first-child, .facts td {{ text-align: left; }}
.facts th {{ font-weight: 400; color: var(--soft); vertical-align: top; }}
summary {{ cursor: pointer; padding: .25rem 0; }}
"""
_BODY = """\
<body>
<main>
{body}
</main>
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


def to_page(
    *,
    question: str,
    answer: str,
    segments: Sequence[Routed],
    floor: float,
    video: str,
    facts: Sequence[tuple[str, str]],
    warnings: Sequence[str] = (),
    pictures: Sequence[Thumbnail] = (),
) -> str:
    """Return the whole page.

    Args:
        segments: at least one, in the order of time.
        floor: the relevance that a moment must have to stand out.
        video: what the video is called.
        facts: rows of a name and a value.
        warnings: what to know before the answer is relied on.
        pictures: a frame of each moment, by the index of its most relevant segment; some may lack.
    """
    moments = strongest(segments, floor=floor)
    by_segment = {picture.index: picture for picture in pictures}
    title = question or f"Answer about {video}"
    parts = [
        f'<h1 dir="auto">{_text(title)}</h1>',
        f'<p class="answer" dir="auto">{_text(answer) or "(no answer)"}</p>',
        f'<p class="soft">{_text(video)} · {clock(segments[-1].end)}</p>',
        *(f'<p class="warning" role="note">{_text(warning)}</p>' for warning in warnings),
        "<h2>Moments</h2>",
        _moments(moments, by_segment) if moments else f"<p>{escape(nothing_stands_out(segments))}</p>",
        "<h2>Relevance and tokens over time</h2>",
        '<div class="wide" role="region" aria-label="Chart" tabindex="0">',
        f"{to_svg(draw(segments, floor=floor))}</div>",
        '<output id="readout">Point at a segment, or touch it.</output>',
        _segments(segments),
        "<h2>What it took</h2>",
        _facts(facts),
    ]
    style = _STYLE.format(dark_chart=_DARK_CHART, font=FONT)
    return page_head(printable(title), style, script=True) + _BODY.format(body="\n".join(parts))


def _moments(moments: Sequence[Moment], pictures: dict[int, Thumbnail]) -> str:
    """The most relevant first, each with its frame where there is one."""
    items = []
    for moment in moments:
        picture = pictures.get(moment.peak)
        image = ""
        if picture is not None:
            height, width = picture.pixels.shape[:2]
            image = (
                f'<img src="{picture_uri(picture.pixels)}" width="{width}" height="{height}" '
                f'alt="The video at {clock(picture.time)}">'
            )
        items.append(
            f"<li><figure>{image}<figcaption><b>{clock_span(moment.start, moment.end)}</b>"
            f"relevance {moment.relevance:.2f}, {_tokens(moment.tokens)}</figcaption></figure></li>"
        )
    return f'<ol class="moments">{"".join(items)}</ol>'


def _segments(segments: Sequence[Routed]) -> str:
    rows = "".join(
        f"<tr><td>{clock_span(segment.start, segment.end)}</td><td>{segment.relevance:.2f}</td>"
        f"<td>{segment.tokens}</td></tr>"
        for segment in segments
    )
    head = '<tr><th scope="col">time</th><th scope="col">relevance</th><th scope="col">tokens</th></tr>'
    return (
        "<details><summary>Every segment as a table</summary>"
        f'<div class="wide"><table>{head}{rows}</table></div></details>'
    )


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{_text(name)}</th><td>{_text(value)}</td></tr>' for name, value in facts
    )
    return f'<div class="wide"><table class="facts">{rows}</table></div>'


def _tokens(count: int) -> str:
    return "1 token" if count == 1 else f"{count} tokens"


def _text(text: str) -> str:
    return escape(printable(text))
