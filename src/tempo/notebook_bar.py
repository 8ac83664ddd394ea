"""A progress bar in the output of a notebook's cell, which goes when the work is done."""

from __future__ import annotations

import time
from html import escape
from types import TracebackType
from typing import Any

from tempo.formatting import clock

_PAUSE = 0.1  # seconds between two updates, each of which is a message to the browser


class NotebookBar:
    """A bar for WHAT, counted in UNIT, with the label BEFORE until the first count and AFTER the last.

    It needs IPython, which a kernel always has, and no widgets.
    """

    def __init__(self, what: str, unit: str, *, before: str, after: str) -> None:
        self._what, self._unit = what, unit
        self._before, self._after = before or what, after or what
        self._begun = self._shown = time.monotonic()
        self._display: Any = None

    def __enter__(self) -> NotebookBar:
        from IPython.display import display

        self._display = display(_Html(self._bar(self._before)), display_id=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._display.update(_Html(""))

    def move(self, done: int, total: int) -> None:
        """Show that DONE of TOTAL are done."""
        now = time.monotonic()
        if now - self._shown < _PAUSE and done < total:
            return
        self._shown = now
        if done < total:
            left = (now - self._begun) * (total - done) / max(done, 1)
            words = f"{self._what} {done} of {total} {self._unit}, {clock(left)} left"
            self._display.update(_Html(self._bar(words, f' value="{done}" max="{total}"')))
        else:
            self._display.update(_Html(self._bar(f"{self._after} {total} {self._unit}")))

    def _bar(self, words: str, value: str = "") -> str:
        label = escape(words.strip())
        return f'<progress{value} aria-label="{label}" style="width:20em"></progress> {label}'


class _Html:
    """What IPython shows as HTML; where there is only text, it shows nothing."""

    def __init__(self, text: str) -> None:
        self._text = text

    def _repr_html_(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return ""
