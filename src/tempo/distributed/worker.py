"""A compressor replica in a process of its own: `python -m tempo.distributed.worker`, started by
:mod:`.process_replica` and good for nothing else.

Messages are pickled triples. The first that comes is (threads, name, the pickled model); then (call, method,
arguments), each run in a thread of its own, and (call, CANCEL, ()). What goes back is (call, "moved", (done,
total)), (call, "result", value) or (call, "error", exception).
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import threading
from multiprocessing.connection import Connection
from typing import Any

CANCEL = "cancel"


class CancelledError(Exception):
    """Nobody waits for a call any more."""


def main() -> None:
    """Serve calls until the other end of the connection is gone, which ends the process at once."""
    connection, weights = Connection(int(sys.argv[1])), int(sys.argv[2])
    with contextlib.suppress(EOFError, OSError):
        _Server(connection, weights).run()
    os._exit(0)  # threads may still compute, for nobody


class _Server:
    def __init__(self, connection: Connection, weights: int) -> None:
        import torch

        from .replica import CompressorReplica
        from .weight_sharing import load_shared

        self._connection = connection
        self._sending = threading.Lock()
        self._cancelled: set[int] = set()
        threads, name, pickled = pickle.loads(connection.recv_bytes())
        torch.set_num_threads(threads)
        self._replica = CompressorReplica(load_shared(weights, pickled), name=name)
        self._send(0, "result", None)

    def run(self) -> None:
        while True:
            call, method, arguments = pickle.loads(self._connection.recv_bytes())
            if method == CANCEL:
                self._cancelled.add(call)
            else:
                threading.Thread(target=self._run, args=(call, method, arguments), daemon=True).start()

    def _run(self, call: int, method: str, arguments: tuple[Any, ...]) -> None:
        def moved(done: int, total: int) -> None:
            if call in self._cancelled:
                raise CancelledError
            self._send(call, "moved", (done, total))

        needs_progress = method in ("watch", "score", "compress")
        try:
            value = getattr(self._replica, method)(*arguments, *([moved] if needs_progress else []))
            self._send(call, "result", value)
        except Exception as error:
            self._send(call, "error", _sendable(error))
        self._cancelled.discard(call)

    def _send(self, call: int, kind: str, content: object) -> None:
        message = pickle.dumps((call, kind, content), protocol=pickle.HIGHEST_PROTOCOL)
        try:
            with self._sending:
                self._connection.send_bytes(message)
        except OSError:  # nobody is there any more
            os._exit(0)


def _sendable(error: Exception) -> Exception:
    """An error as it can be pickled: itself, or else its text."""
    from tempo.errors import TempoError, describe

    with contextlib.suppress(Exception):
        if isinstance(error, TempoError) and str(pickle.loads(pickle.dumps(error))) == str(error):
            return error
    return TempoError(describe(error))


if __name__ == "__main__":
    main()
