"""Lets another process call a replica over a connection.

Messages are pickled triples: (call, method, its pickled arguments), each run in a thread of its own. The
method CANCEL ends a call. What goes back is (call, "moved", (done, total)), (call, "result", value) or
(call, "error", exception).
"""

from __future__ import annotations

import contextlib
import pickle
import threading
from multiprocessing.connection import Connection

from .replica import CancelledError, CompressorReplica, portable

CANCEL = "cancel"


class ReplicaServer:
    """Serves the calls of whoever is at the other end of a connection."""

    def __init__(self, connection: Connection, replica: CompressorReplica) -> None:
        self._connection, self._replica = connection, replica
        self._sending = threading.Lock()
        self._cancelled: set[int] = set()
        self._threads: dict[int, threading.Thread] = {}
        self._left = False  # nobody is at the other end any more

    def run(self) -> None:
        """Serve until the other end of the connection is gone."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                call, method, pickled = pickle.loads(self._connection.recv_bytes())
                if method == CANCEL:
                    self._cancelled.add(call)
                    continue
                thread = threading.Thread(target=self._run, args=(call, method, pickled), daemon=True)
                self._threads = {number: one for number, one in self._threads.items() if one.is_alive()}
                self._threads[call] = thread
                thread.start()
        self._left = True

    def finish(self) -> None:
        """End the calls that still run, once `run` has ended, and wait for them."""
        for thread in self._threads.values():
            thread.join()

    def _run(self, call: int, method: str, pickled: bytes) -> None:
        def moved(done: int, total: int) -> None:
            if self._left or call in self._cancelled:
                raise CancelledError
            self.send(call, "moved", (done, total))

        needs_progress = method in ("watch", "score", "compress")
        try:
            arguments = pickle.loads(pickled)  # a video behind an address is opened with that
            value = getattr(self._replica, method)(*arguments, *([moved] if needs_progress else []))
            self.send(call, "result", portable(value))
        except Exception as error:
            self.send(call, "error", _sendable(error))
        self._cancelled.discard(call)

    def send(self, call: int, kind: str, content: object) -> None:
        """Send something, unless nobody is there any more."""
        message = pickle.dumps((call, kind, content), protocol=pickle.HIGHEST_PROTOCOL)
        with contextlib.suppress(OSError), self._sending:  # `run` sees the same
            self._connection.send_bytes(message)


def _sendable(error: Exception) -> Exception:
    """An error as it can be pickled: itself, or else its text."""
    from tempo.errors import TempoError, describe

    with contextlib.suppress(Exception):
        if isinstance(error, TempoError) and str(pickle.loads(pickle.dumps(error))) == str(error):
            return error
    return TempoError(describe(error))
