"""Ctrl-C, or a scheduler that wants its machine back."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType
from typing import Any

# A launcher of several processes passes Ctrl-C on to those that the terminal has told already.
_ECHO_SECONDS = 2.0


class Stopping:
    """While the block runs, the first request to stop is noted in `asked`; a later Ctrl-C raises at once."""

    def __init__(self) -> None:
        self.asked = False
        self._when = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():  # elsewhere there are no signals
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.asked and now - self._when > _ECHO_SECONDS:
            raise KeyboardInterrupt
        if not self.asked:
            self.asked, self._when = True, now
