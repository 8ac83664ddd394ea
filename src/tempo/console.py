"""Write to the terminal: results on stdout, one-line messages and progress bars on stderr.

Rich drops colours if the output is not a terminal, if ``NO_COLOR`` is set, and on a dumb terminal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from tempo.formatting import printable

PIPED_COLUMNS = 500  # table width without a terminal, so that names and paths are not wrapped
ACCENT = "bold cyan"
FAINT = "dim"


class Output(Console):
    """Standard output. If its reader is gone it raises BrokenPipeError, where rich would exit."""

    def __init__(self) -> None:
        super().__init__(highlight=False)
        if not self.is_terminal and "COLUMNS" not in os.environ:
            self.width = PIPED_COLUMNS

    def on_broken_pipe(self) -> None:
        """Rich calls this while it handles the error."""
        raise


def say(message: str) -> None:
    """Print MESSAGE as one line on stderr, prefixed with ``tempo:``."""
    print("tempo:", printable(" ".join(message.split())), file=sys.stderr, flush=True)


@contextmanager
def progress_bar(
    what: str, unit: str = "", *, before: str = "", after: str = ""
) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar for WHAT on stderr while the block runs, if stderr is a terminal.

    Yields a function that takes (done, total), counted in UNIT. Until its first call the bar pulses with the
    label BEFORE, and once everything is done with the label AFTER.
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
