"""Render results as styled text for a terminal: the allocation chart, the strongest moments, tables.

Rich drops the colours if the output is not a terminal, if ``NO_COLOR`` is set, and on a dumb terminal.
"""

from collections.abc import Sequence

from rich.text import Text

from tempo.console import ACCENT, FAINT
from tempo.formatting import clock, clock_span, printable
from tempo.moments import (
    COUNT,
    Routed,
    nothing_stands_out,
    strongest,
)

HEIGHTS = " ▁▂▃▄▅▆▇█"  # heights of a column, in eighths
LENGTHS = " ▏▎▍▌▋▊▉█"  # lengths of the last cell of a horizontal bar, in eighths
CHART_COLUMNS = 60  # one per minute of an hour
WIDEST_SEGMENT = 8  # columns, so that a chart of two segments does not fill the line
METER_COLUMNS = 12


def chart(segments: Sequence[Routed], *, floor: float = 0.0, columns: int = CHART_COLUMNS) -> Text:
    """Chart the tokens of the segments over time: one line of columns, and one of clock times below.

    With more segments than COLUMNS, a column shows the largest of its segments. The full height is the
    largest number of tokens in any segment. The strongest moments with a relevance of at least FLOOR are
    highlighted.
    """
    count = len(segments)
    width = count * min(columns // count, WIDEST_SEGMENT) if count <= columns else columns
    most = max(segment.tokens for segment in segments) or 1
    marked = {i for found in strongest(segments, floor=floor) for i in range(found.first, found.last + 1)}
    bar = Text()
    for column in range(width):
        first = column * count // width
        members = range(first, max((column + 1) * count // width, first + 1))
        tokens = max(segments[i].tokens for i in members)
        height = -(-tokens * 8 // most)  # rounded up, so that even one token is visible
        bar.append(HEIGHTS[height], style=ACCENT if marked.intersection(members) else FAINT)
    bar.append(f"  up to {most} token{'' if most == 1 else 's'}", style=FAINT)
    return Text("\n").join([bar, Text(axis(segments[0].start, segments[-1].end, width), style=FAINT)])


def axis(start: float, end: float, width: int) -> str:
    """Return a line of WIDTH columns with clock times, START on the left and END on the right.

    Times between them stand in their own columns. A line that is too narrow for both ends grows beyond WIDTH.
    """
    last = clock(end)
    line = clock(start)
    for quarter in (1, 2, 3) if width >= 48 else (2,) if width >= 24 else ():
        column = quarter * width // 4
        line = line.ljust(column) + clock(start + (end - start) * column / width)
    return line.ljust(max(width - len(last), len(line) + 1)) + last


def moments(segments: Sequence[Routed], *, count: int = COUNT, floor: float = 0.0) -> Text:
    """List up to COUNT strongest moments with their time, relevance and tokens.

    Says so if no segment reaches a relevance of FLOOR.
    """
    found = strongest(segments, count, floor=floor)
    if not found:
        return Text(nothing_stands_out(segments), style=FAINT)
    return Text("\n").join(
        Text.assemble(
            (clock_span(moment.start, moment.end), ACCENT),
            f"  {meter(moment.relevance)}  relevance {moment.relevance:.2f}",
            (f"  {moment.tokens:>4} token{'' if moment.tokens == 1 else 's'}", FAINT),
        )
        for moment in found
    )


def meter(share: float, *, columns: int = METER_COLUMNS) -> str:
    """Draw SHARE (0 to 1) as a horizontal bar, padded to COLUMNS."""
    whole, eighths = divmod(round(min(max(share, 0.0), 1.0) * columns * 8), 8)
    return ("█" * whole + LENGTHS[eighths] * (eighths > 0)).ljust(columns)


def table(rows: Sequence[tuple[str, str]]) -> Text:
    """Align ROWS of (name, value), with faint names."""
    widest = max(len(name) for name, _ in rows)
    return Text("\n").join(
        Text.assemble((name.ljust(widest + 2), FAINT), printable(value)) for name, value in rows
    )


def indented(text: Text, by: int = 2) -> Text:
    """Return TEXT with every line indented BY columns."""
    return Text("\n").join(Text(" " * by) + line for line in text.split())
