"""The workers of a batch run.

Each is a process of its own, so that one that dies (of memory, of a file that its decoder cannot stand) costs
the case it was at and nothing else.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing.connection import wait
from typing import Any

from tempo.errors import TempoError, UsageError

from . import worker
from .cases import Case, Group
from .worker import Work

GRACE = 5.0  # seconds that a worker has to end by itself


def answers(groups: Sequence[Group], work: Work) -> Iterator[tuple[Case, dict[str, Any]]]:
    """Answer every case of GROUPS: (case, record) in the order in which they are done.

    Closing the iterator ends the workers.

    Raises:
        UsageError, TempoError: the model cannot be loaded.
    """
    waiting = deque(groups)
    crew: list[_Worker] = []
    try:
        crew += [_Worker(work, index) for index in range(min(work.workers, len(groups)))]
        while waiting or any(one.group is not None for one in crew):
            ready = wait([one.connection for one in crew])
            for one in [one for one in crew if one.connection in ready]:
                try:
                    kind, content = one.connection.recv()
                except (EOFError, OSError):
                    crew.remove(one)
                    yield from one.buried(waiting)
                    if waiting:
                        crew.append(_Worker(work, one.index))
                    continue
                if kind == "unusable":
                    message, is_usage = content
                    raise (UsageError if is_usage else TempoError)(message)
                if kind == "record":
                    yield one.finished(*content)
                else:  # ready for the first group, or done with one
                    one.loaded = True
                    one.give(waiting.popleft() if waiting else None)
    finally:
        for one in crew:
            one.end()


class _Worker:
    """A process, and the group that it is at."""

    def __init__(self, work: Work, index: int) -> None:
        self.index = index
        self.group: Group | None = None
        self.loaded = False
        self._left: list[Case] = []
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=worker.main, args=(theirs, work, index), daemon=True)
        with _without_ctrl_c():
            self.process.start()
        theirs.close()

    def give(self, group: Group | None) -> None:
        """Hand a group over; None: there is nothing more to do."""
        self.group, self._left = group, list(group.cases) if group else []
        with contextlib.suppress(OSError):  # it died just now; the connection will say so
            self.connection.send(group)

    def finished(self, number: int, record: dict[str, Any]) -> tuple[Case, dict[str, Any]]:
        """Take a record in."""
        case = next(case for case in self._left if case.number == number)
        self._left.remove(case)
        return case, record

    def buried(self, waiting: deque[Group]) -> Iterator[tuple[Case, dict[str, Any]]]:
        """It died: the case that it was at has failed, and the others of its group go back.

        Raises:
            TempoError: it never came as far as a case.
        """
        self.process.join()
        self.connection.close()
        how = _how_it_ended(self.process.exitcode)
        if not self.loaded:
            raise TempoError(f"a worker ended while it loaded the model ({how}); try fewer --workers")
        if self._left:
            case, *others = self._left
            if self.group is not None and others:
                waiting.appendleft(replace(self.group, cases=tuple(others)))
            yield case, case.failed(f"the worker process ended at this case ({how})")
        self.group = None

    def end(self) -> None:
        """See to it that the process is gone."""
        if self.group is not None or not self.loaded:
            self.process.terminate()
        self.process.join(GRACE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()


def _how_it_ended(status: int | None) -> str:
    if status is not None and status < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-status).name
            return f"{name}, which is often a lack of memory" if name == "SIGKILL" else name
    return f"exit status {status}"


@contextlib.contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """A process that is started in here never sees Ctrl-C: the one that started it decides what it means."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows; there a worker hears Ctrl-C too
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
