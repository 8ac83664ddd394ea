"""What a run reports: a line of JSON for each step, a progress bar, and TensorBoard on request."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from tempo.console import FAINT, say
from tempo.errors import TempoError
from tempo.formatting import clock, printable
from tempo.storage.atomic_files import write_atomically
from tempo.storage.json_lines import json_line, numbered_lines

QUIET_SECONDS = 30.0  # between lines where stderr is no terminal


class MetricLogger:
    """`log.jsonl`: one object for each step, each validation and each skipped sample."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, record: dict[str, Any]) -> None:
        """Add a line, at once.

        Raises:
            TempoError: it cannot be written.
        """
        try:
            with self.path.open("ab") as stream:
                stream.write(json_line(record))
        except OSError as error:
            raise TempoError(f"{self.path}: could not be written ({error.strerror or error})") from error

    def truncate(self, step: int) -> None:
        """Drop what came after `step`, which is about to be repeated, and lines that were cut short."""
        if not self.path.exists():
            return
        kept = []
        for _, line in numbered_lines(self.path):
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except (ValueError, KeyError, TypeError):
                continue
        try:
            write_atomically(self.path, "".join(kept))
        except OSError as error:
            raise TempoError(f"{self.path}: could not be written ({error.strerror or error})") from error


class TrainingProgressBar:
    """Step, loss, tokens/s and time left on stderr: a bar on a terminal, else a line every half a minute."""

    def __init__(self, *, steps: int, done: int, shown: bool) -> None:
        self.steps = steps
        self._shown = shown
        self._begun = self._said = time.monotonic()
        self._first = done
        console = Console(stderr=True)
        self._terminal = console.is_terminal
        self._progress = Progress(
            TextColumn("step {task.completed} of {task.total}"),
            BarColumn(bar_width=30),
            TextColumn("{task.description}", style=FAINT, markup=False),
            console=console,
            transient=True,
            disable=not (shown and self._terminal),
        )
        self._task = self._progress.add_task("", total=steps, completed=done)

    def __enter__(self) -> TrainingProgressBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, step: int, *, loss: float, tokens_per_second: float) -> None:
        """`step` steps are done."""
        now = time.monotonic()
        left = (now - self._begun) / max(1, step - self._first) * (self.steps - step)
        text = f"loss {loss:.4f} · {tokens_per_second:,.0f} tokens/s · {clock(left)} left"
        self._progress.update(self._task, completed=step, description=text)
        last = step == self.steps
        if self._shown and not self._terminal and (last or now - self._said > QUIET_SECONDS):
            self._said = now
            say(f"step {step} of {self.steps} · {text}")

    def message(self, text: str) -> None:
        """Print a line of its own above the bar."""
        if not self._shown:
            return
        if self._terminal:
            self._progress.console.print(f"tempo: {printable(text)}", markup=False, highlight=False)
            sys.stderr.flush()
        else:
            say(text)


class TensorBoardWriter:
    """The same figures for TensorBoard.

    Raises:
        TempoError: it is not installed.
    """

    def __init__(self, folder: Path, *, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise TempoError("tensorboard: true needs it: pip install 'tempo-video[train]'") from error
        self._writer: Any = SummaryWriter(str(folder), purge_step=step)

    def write(self, step: int, figures: dict[str, float]) -> None:
        for name, figure in figures.items():
            self._writer.add_scalar(name, figure, step)

    def close(self) -> None:
        self._writer.close()
