"""An interactive SVG chart of relevance and tokens over time.

Widths are percentages and heights are pixels, so that the chart fits every window undistorted. The
interaction is in ``static/page.js``: a click on anything with ``data-seek`` seeks the player there.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tempo.formatting import clock
from tempo.moments import Routed

RELEVANCE_HEIGHT, TOKENS_HEIGHT, GAP, AXIS = 72, 72, 22, 18  # pixels
TOP = 16  # for the headings
TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)  # seconds


def chart(segments: Sequence[Routed], tokens: Sequence[int], other: Sequence[int], *, most: int) -> str:
    """Draw the relevance and the tokens of every segment; a line shows the tokens of the other variant.

    Args:
        segments: at least one, in the order of time.
        tokens: tokens per segment under the variant that is shown.
        other: tokens per segment under the other variant, with the same budget.
        most: memory tokens that a segment has.
    """
    start, end = segments[0].start, max(segments[-1].end, segments[0].start + 1e-3)
    span = end - start
    second = TOP + RELEVANCE_HEIGHT + GAP
    height = second + TOKENS_HEIGHT + AXIS
    top = max([*tokens, *other, 1])
    parts = [
        f'<svg class="tempo-chart" width="100%" height="{height}" role="group" tabindex="0" '
        f'data-start="{start:.3f}" data-end="{end:.3f}" '
        'aria-label="Relevance and tokens over time. Left and right choose a segment, Enter plays it.">',
        f'<text class="t-label" x="0" y="{TOP - 5}">relevance for the question</text>',
        f'<text class="t-label" x="0" y="{second - 5}">tokens for the answer, up to {top} of {most}</text>',
    ]
    for base in (TOP + RELEVANCE_HEIGHT, second + TOKENS_HEIGHT):
        parts.append(f'<line class="t-rule" x1="0" x2="100%" y1="{base}" y2="{base}"/>')
    outline = []
    for index, (segment, count, otherwise) in enumerate(zip(segments, tokens, other, strict=True)):
        left = (segment.start - start) / span * 100
        following = segments[index + 1].start if index + 1 < len(segments) else end
        width = max((following - segment.start) / span * 100, 0.05)
        x, w = f"{left:.3f}%", f"{width:.3f}%"
        high = segment.relevance * RELEVANCE_HEIGHT
        long = count / top * TOKENS_HEIGHT
        level = second + TOKENS_HEIGHT - otherwise / top * TOKENS_HEIGHT
        words = (
            f"{clock(segment.start)}–{clock(segment.end)}, relevance {segment.relevance:.2f}, "
            f"{count} token{'' if count == 1 else 's'}"
        )
        parts.append(
            f'<g class="t-segment" role="button" data-index="{index}" data-seek="{segment.start:.3f}" '
            f'data-frame="{round((segment.start + segment.end) * 500)}" data-tokens="{count}" '
            f'data-words="{escape(words)}" aria-label="{escape(words)}">'
            f'<rect class="t-relevance" x="{x}" width="{w}" y="{TOP + RELEVANCE_HEIGHT - high:.2f}" '
            f'height="{high:.2f}"/>'
            f'<rect class="t-tokens" x="{x}" width="{w}" y="{second + TOKENS_HEIGHT - long:.2f}" '
            f'height="{long:.2f}"/>'
            f'<rect class="t-touch" x="{x}" width="{w}" y="0" height="{height - AXIS}"/></g>'
        )
        outline.append(
            f'<line class="t-other" x1="{x}" x2="{left + width:.3f}%" y1="{level:.2f}" y2="{level:.2f}"/>'
        )
    parts += outline
    parts += _axis(start, end, height)
    parts.append(
        f'<line class="t-head" x1="0" x2="0" y1="0" y2="{height - AXIS}" visibility="hidden"/></svg>'
    )
    return "".join(parts)


def _axis(start: float, end: float, height: int) -> list[str]:
    """Clock times below the chart, few enough for the width of a phone."""
    span = end - start
    step = next((step for step in TICKS if span / step <= 4), TICKS[-1])
    texts = []
    tick = -(-start // step) * step
    while tick <= end:
        left = (tick - start) / span * 100
        anchor = "start" if left < 5 else "end" if left > 95 else "middle"
        texts.append(
            f'<text class="t-time" x="{left:.2f}%" y="{height - 4}" text-anchor="{anchor}">'
            f"{clock(tick)}</text>"
        )
        tick += step
    return texts
