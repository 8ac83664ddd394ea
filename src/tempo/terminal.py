"""How results look in a terminal: clock times, the bar of the allocation, the strongest moments, progress.

What is drawn here is text with styles and does not know where it goes. Colour is rich's affair: it leaves it
out where the output is no terminal, where ``NO_COLOR`` is set, and where the terminal is dumb.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

HEIGHTS = " ▁▂▃▄▅▆▇█"  # of a column, in eighths
LENGTHS = " ▏▎▍▌▋▊▉█"  # of the last cell of a horizontal bar, in eighths
CHART_COLUMNS = 64
WIDEST_SEGMENT = 8  # columns, so that a chart of two segments does not fill the line
METER_COLUMNS = 12
ACCENT = "bold cyan"
FAINT = "dim"


class Moment(Protocol):
    """What is drawn of a segment: seconds, relevance in (0, 1), memory tokens kept."""

    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...
    @property
    def relevance(self) -> float: ...
    @property
    def tokens(self) -> int: ...


def clock(seconds: float) -> str:
    """Return SECONDS as ``mm:ss``, from an hour on as ``h:mm:ss``; fractions are cut off."""
    minutes, rest = divmod(int(max(seconds, 0.0)), 60)
    if minutes < 60:
        return f"{minutes:02d}:{rest:02d}"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def strongest(segments: Sequence[Moment], count: int = 4) -> list[int]:
    """Return at most COUNT indices: the most relevant segment, then those at least half as relevant."""
    ranked = sorted(range(len(segments)), key=lambda i: (-segments[i].relevance, segments[i].start))
    return [i for i in ranked[:count] if segments[i].relevance >= segments[ranked[0]].relevance / 2]


def chart(segments: Sequence[Moment], *, columns: int = CHART_COLUMNS) -> Text:
    """Draw the allocation over time on two lines: columns as high as the tokens, and the clock below.

    Where there are more segments than COLUMNS, a column shows the largest of the segments that fall into it.
    The full height is the largest number of tokens that any segment keeps. The strongest moments stand out.
    """
    count = len(segments)
    width = count * min(columns // count, WIDEST_SEGMENT) if count <= columns else columns
    most = max(segment.tokens for segment in segments) or 1
    marked = set(strongest(segments))
    bar = Text()
    for column in range(width):
        first = column * count // width
        members = range(first, max((column + 1) * count // width, first + 1))
        tokens = max(segments[i].tokens for i in members)
        height = -(-tokens * 8 // most)  # rounded up: whatever keeps a token is seen
        bar.append(HEIGHTS[height], style=ACCENT if marked.intersection(members) else FAINT)
    return Text("\n").join([bar, Text(axis(segments[0].start, segments[-1].end, width), style=FAINT)])


def axis(start: float, end: float, width: int) -> str:
    """Return a line of WIDTH columns with clock times, START on the left and END on the right.

    The times between them stand where their column is. A line too narrow for the two ends grows beyond WIDTH.
    """
    last = clock(end)
    line = clock(start)
    for quarter in (1, 2, 3) if width >= 48 else (2,) if width >= 24 else ():
        column = quarter * width // 4
        line = line.ljust(column) + clock(start + (end - start) * column / width)
    return line.ljust(max(width - len(last), len(line) + 1)) + last


def moments(segments: Sequence[Moment], *, count: int = 4) -> Text:
    """List the strongest moments, at most COUNT: when, how relevant, how many tokens they keep."""
    return Text("\n").join(
        Text.assemble(
            (f"{clock(segment.start)}–{clock(segment.end)}", ACCENT),
            f"  {meter(segment.relevance)}  relevance {segment.relevance:.2f}",
            (f"  {segment.tokens:>4} token{'' if segment.tokens == 1 else 's'}", FAINT),
        )
        for segment in (segments[i] for i in strongest(segments, count))
    )


def meter(share: float, *, columns: int = METER_COLUMNS) -> str:
    """Draw SHARE (0 to 1) as a horizontal bar, padded to COLUMNS."""
    whole, eighths = divmod(round(min(max(share, 0.0), 1.0) * columns * 8), 8)
    return ("█" * whole + LENGTHS[eighths] * (eighths > 0)).ljust(columns)


def table(rows: Sequence[tuple[str, str]]) -> Text:
    """Align (name, figure) ROWS, the names faint."""
    widest = max(len(name) for name, _ in rows)
    return Text("\n").join(
        Text.assemble((name.ljust(widest + 2), FAINT), printable(value)) for name, value in rows
    )


def indented(text: Text, by: int = 2) -> Text:
    """Return TEXT with every line moved BY columns to the right."""
    return Text("\n").join(Text(" " * by) + line for line in text.split())


def printable(text: str) -> str:
    """Return TEXT with every character that could steer the terminal replaced; line ends and tabs stay."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def say(message: str) -> None:
    """Print MESSAGE as one line on stderr, behind the name of the program."""
    print("tempo:", printable(" ".join(message.split())), file=sys.stderr, flush=True)


def size(count: int) -> str:
    """Return COUNT bytes in the largest decimal unit that leaves at least one: ``1.2 GB``."""
    value, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"


@contextmanager
def activity(what: str) -> Iterator[None]:
    """Show on stderr, where that is a terminal, that WHAT goes on for as long as the block runs."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(Text(printable(what))):
        yield


class WatchProgress:
    """A progress bar on stderr, where that is a terminal: loading, watching frame by frame, answering.

    The object is what `watch` takes as `progress`; the bar is gone when the block ends.
    """

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=40),
            TextColumn("{task.fields[frames]}", style=FAINT),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("loading", total=None, frames="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        """Show that DONE of TOTAL frames have been watched."""
        frames = f"{done} of {total} frames"
        if done < total:
            self._bar.update(self._task, description="watching", completed=done, total=total, frames=frames)
        else:
            self._bar.reset(self._task, description="answering", total=None, frames=frames)
