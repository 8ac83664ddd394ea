"""Standard output and standard error: results, one-line messages and progress bars.

Colour is left to rich, which drops it where the output is not a terminal, where ``NO_COLOR`` is set, and
where the terminal is dumb.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from tempo.formatting import printable

PIPED_COLUMNS = 500  # of tables where nobody looks: names and paths stay in one piece
ACCENT = "bold cyan"
FAINT = "dim"


class Output(Console):
    """Standard output. Where its reader has gone it says so, instead of ending the process by itself."""

    def __init__(self) -> None:
        super().__init__(highlight=False)
        if not self.is_terminal and "COLUMNS" not in os.environ:
            self.width = PIPED_COLUMNS

    def on_broken_pipe(self) -> None:
        """Called by rich while it handles the error."""
        raise


def say(message: str) -> None:
    """Print MESSAGE as one line on stderr, behind the name of the program."""
    print("tempo:", printable(" ".join(message.split())), file=sys.stderr, flush=True)


@contextmanager
def counting(
    what: str, unit: str = "", *, before: str = "", after: str = ""
) -> Iterator[Callable[[int, int], None]]:
    """Show on stderr, where that is a terminal, how far WHAT has got, for as long as the block runs.

    Yields a function that takes (done, total), counted in UNIT. Until it is called the bar only moves,
    labelled BEFORE; once all is done it is labelled AFTER. Never called, it shows that something goes on.
    """
    console = Console(stderr=True)
    shown = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=40),
        TextColumn("{task.fields[count]}", style=FAINT),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    task = shown.add_task(printable(before or what), total=None, count="")

    def move(done: int, total: int) -> None:
        if done < total:
            count = f"{done} of {total} {unit}"
            shown.update(task, description=printable(what), completed=done, total=total, count=count)
        else:
            shown.reset(task, description=printable(after or what), total=None, count=f"{total} {unit}")

    with shown:
        yield move
