"""Write to the terminal: results on stdout, one-line messages and progress bars on stderr, or in a notebook.

Rich drops colours if the output is not a terminal, if ``NO_COLOR`` is set, and on a dumb terminal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from tempo.formatting import printable

Progress = Callable[[int, int], None]
"""Called with (done, total)."""

ProgressOption = Progress | Literal["auto"] | None
""""auto": a progress bar where somebody sees it, in a notebook or a terminal. None: nothing."""

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
    # In one piece, so that lines of several processes do not mix.
    sys.stderr.write(f"tempo: {printable(' '.join(message.split()))}\n")
    sys.stderr.flush()


@contextmanager
def shown_progress(chosen: ProgressOption, what: str, unit: str) -> Iterator[Progress | None]:
    """Yield what to call with (done, total) while the block runs: CHOSEN, or a bar where that is "auto"."""
    if chosen == "auto":
        with progress_bar(what, unit) as move:
            yield move
    else:
        yield chosen


@contextmanager
def progress_bar(what: str, unit: str = "", *, before: str = "", after: str = "") -> Iterator[Progress]:
    """Show a progress bar for WHAT while the block runs: in a notebook, or on stderr if that is a terminal.

    Yields a function that takes (done, total), counted in UNIT. Until its first call the bar pulses with the
    label BEFORE, and once everything is done with the label AFTER.
    """
    if in_notebook():
        from tempo.notebook_bar import NotebookBar

        with NotebookBar(what, unit, before=before, after=after) as bar:
            yield bar.move
        return
    console = Console(stderr=True)
    shown = RichProgress(
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


@contextmanager
def download_bar() -> Iterator[Callable[[int, int | None], None]]:
    """Show a progress bar while the block runs. Yields what takes (bytes so far, bytes to come or None)."""
    with progress_bar("downloading", "MB", before="connecting", after="downloading") as move:

        def progress(done: int, total: int | None) -> None:
            megabytes = done // 1_000_000
            move(megabytes, megabytes if total is None else max(1, -(-total // 1_000_000)))

        yield progress


def in_notebook() -> bool:
    """Whether the code runs in a kernel, whose front end shows more than text."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None
