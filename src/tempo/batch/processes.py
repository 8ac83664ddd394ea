"""Workers of a batch run that are processes of this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import send_handle

from tempo.exit_status import how_it_ended

from . import worker
from .cases import VideoGroup
from .pool import Message, WorkerDiedError, load_error
from .worker import Assignment, WorkerConfig

GRACE = 5.0  # seconds for a worker to exit by itself


class Processes:
    """Processes that share this machine's cores and GPUs. What kills one kills the next one too, so a case
    has one attempt."""

    attempts, alike = 1, True
    missing = "try fewer --workers"

    def __init__(self, config: WorkerConfig) -> None:
        self.config = config
        # On Windows connections cannot be passed on.
        self.shares = sys.platform != "win32" and config.shares_videos

    def start(self, index: int) -> WorkerProcess:
        return WorkerProcess(self.config, index)

    def ready(self, workers: Sequence[WorkerProcess], patience: float | None = None) -> list[WorkerProcess]:
        connections = wait([one.connection for one in workers], patience)
        return [one for one in workers if one.connection in connections]


class WorkerProcess:
    """A worker process and the connection to it.

    Attributes:
        name: for messages.
    """

    def __init__(self, config: WorkerConfig, index: int) -> None:
        self.name = f"worker {index + 1}"
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=worker.main, args=(theirs, config, index), daemon=True)
        with _without_ctrl_c():
            self.process.start()
        theirs.close()

    def assign(self, group: VideoGroup | None, helpers: Sequence[WorkerProcess] = ()) -> None:
        pipes = [multiprocessing.Pipe() for _ in helpers]
        task = None if group is None else Assignment(group, tuple(helper.name for helper in helpers))
        self._send(task, [ours for ours, _ in pipes])
        for helper, (ours, theirs) in zip(helpers, pipes, strict=True):
            helper._send(Assignment(None, (self.name,)), [theirs])
            # The processes have the only ends, so each sees when the other one is gone.
            ours.close()
            theirs.close()

    def release(self) -> None:
        pass  # it sees that its connection is closed

    def _send(self, task: Assignment | None, connections: Sequence[Connection]) -> None:
        with contextlib.suppress(OSError):  # it just died, which the connection will report
            self.connection.send(task)
            for one in connections:
                send_handle(self.connection, one.fileno(), self.process.pid)

    def receive(self) -> Message:
        try:
            kind, content = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            raise WorkerDiedError(how_it_ended(self.process.exitcode)) from None
        if kind == "load_error":
            message, usage = content
            return kind, load_error(message, usage=usage)
        return kind, content

    def end(self, *, at_once: bool) -> None:
        if at_once:
            self.process.terminate()
        self.process.join(GRACE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()


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
