"""Distribute the videos of a batch run to worker processes, and replace workers that die.

A worker that dies (out of memory, or of a file that crashes the decoder) costs only its current case.
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
from .cases import Case, VideoGroup
from .worker import WorkerConfig

GRACE = 5.0  # seconds for a worker to exit by itself


def run_groups(groups: Sequence[VideoGroup], config: WorkerConfig) -> Iterator[tuple[Case, dict[str, Any]]]:
    """Answer every case of GROUPS and yield (case, record) in the order of completion.

    Closing the iterator ends the workers.

    Raises:
        UsageError, TempoError: the model cannot be loaded.
    """
    pending = deque(groups)
    workers: list[_Worker] = []
    try:
        workers += [_Worker(config, index) for index in range(min(config.workers, len(groups)))]
        while pending or any(one.group is not None for one in workers):
            ready = wait([one.connection for one in workers])
            for one in [one for one in workers if one.connection in ready]:
                try:
                    kind, content = one.connection.recv()
                except (EOFError, OSError):
                    workers.remove(one)
                    yield from one.handle_death(pending)
                    if pending:
                        workers.append(_Worker(config, one.index))
                    continue
                if kind == "load_error":
                    message, is_usage = content
                    raise (UsageError if is_usage else TempoError)(message)
                if kind == "record":
                    yield one.complete(*content)
                else:  # the model is loaded, or a group is done
                    one.loaded = True
                    one.assign(pending.popleft() if pending else None)
    finally:
        for one in workers:
            one.end()


class _Worker:
    """A worker process and its current group."""

    def __init__(self, config: WorkerConfig, index: int) -> None:
        self.index = index
        self.group: VideoGroup | None = None
        self.loaded = False
        self._remaining: list[Case] = []
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=worker.main, args=(theirs, config, index), daemon=True)
        with _without_ctrl_c():
            self.process.start()
        theirs.close()

    def assign(self, group: VideoGroup | None) -> None:
        """Send a group to the process; None ends it."""
        self.group, self._remaining = group, list(group.cases) if group else []
        with contextlib.suppress(OSError):  # it just died, which the connection will report
            self.connection.send(group)

    def complete(self, number: int, record: dict[str, Any]) -> tuple[Case, dict[str, Any]]:
        """Return the case of a record, and cross it off the group."""
        case = next(case for case in self._remaining if case.number == number)
        self._remaining.remove(case)
        return case, record

    def handle_death(self, pending: deque[VideoGroup]) -> Iterator[tuple[Case, dict[str, Any]]]:
        """Fail the current case of a dead worker, and put the rest of its group back.

        Raises:
            TempoError: the worker died while it loaded the model.
        """
        self.process.join()
        self.connection.close()
        how = _how_it_ended(self.process.exitcode)
        if not self.loaded:
            raise TempoError(f"a worker died while loading the model ({how}); try fewer --workers")
        if self._remaining:
            case, *others = self._remaining
            if self.group is not None and others:
                pending.appendleft(replace(self.group, cases=tuple(others)))
            yield case, case.failure(f"the worker process died at this case ({how})")
        self.group = None

    def end(self) -> None:
        """Wait for the process to exit; kill it if it does not."""
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
            return f"{name}, often due to lack of memory" if name == "SIGKILL" else name
    return f"exit status {status}"


@contextlib.contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Let processes that start in this block ignore Ctrl-C: only their parent handles it."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows workers receive Ctrl-C too
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
