"""A compressor replica in another process of this machine, as it is seen from here."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from tempo.console import Progress
from tempo.errors import TempoError
from tempo.exit_status import how_it_ended

from .replica import RemoteReplica, ReplicaDiedError
from .replica_server import CANCEL
from .weight_sharing import SharedModel

GRACE = 5.0  # seconds for a process to exit by itself
_HEARTBEAT = 0.1  # seconds between two calls of `progress` at most


class ConnectedReplica(RemoteReplica):
    """See :class:`.replica.Replica`. A :class:`.replica_server.ReplicaServer` is at the other end.

    Args:
        connection: to another process; it is closed with this.
        calls: what waits for a message already, by the number of its call.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        name: str,
        calls: Mapping[int, queue.SimpleQueue[tuple[str, Any]]] | None = None,
    ) -> None:
        self.name = name
        self._connection = connection
        self._calls: dict[int, queue.SimpleQueue[tuple[str, Any]]] = dict(calls or {})
        self._numbers = itertools.count(1)
        self._guard = threading.Lock()
        self._died: str | None = None
        threading.Thread(target=self._read, name=f"tempo-replica-{name}", daemon=True).start()

    def forget(self, key: str) -> None:
        with contextlib.suppress(ReplicaDiedError):  # with it, everything is forgotten
            self._send(0, "forget", (key,))

    def close(self) -> None:
        # Shut down rather than only closed: the reader waits in it.
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self._connection.fileno())) as end:
            end.shutdown(socket.SHUT_RDWR)

    def how_it_ended(self) -> str:
        """What became of the other process, which has closed its end."""
        return "its process is gone"

    def _call(self, method: str, *arguments: object, progress: Progress | None = None) -> Any:
        results: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        with self._guard:
            if self._died is not None:
                raise ReplicaDiedError(self._died)
            number = next(self._numbers)
            self._calls[number] = results
        try:
            self._send(number, method, arguments)
            return self._result(results, progress)
        except ReplicaDiedError:
            raise
        except BaseException:
            with contextlib.suppress(ReplicaDiedError):
                self._send(number, CANCEL, ())
            raise
        finally:
            self._calls.pop(number, None)

    def _result(self, results: queue.SimpleQueue[tuple[str, Any]], progress: Progress | None) -> Any:
        while True:
            try:
                kind, content = results.get(timeout=_HEARTBEAT)
            except queue.Empty:
                kind, content = "moved", (0, 0)
            if kind == "result":
                return content
            if kind == "died":
                raise ReplicaDiedError(content)
            if kind == "error":
                raise content
            if progress is not None:
                progress(*content)

    def _send(self, call: int, method: str, arguments: tuple[object, ...]) -> None:
        pickled = pickle.dumps(arguments, protocol=pickle.HIGHEST_PROTOCOL)
        message = pickle.dumps((call, method, pickled), protocol=pickle.HIGHEST_PROTOCOL)
        try:
            with self._guard:
                self._connection.send_bytes(message)
        except OSError as error:
            raise ReplicaDiedError(self._died or "its connection is closed") from error

    def _read(self) -> None:
        """Hand what comes to the calls that wait for it, until the process is gone."""
        try:
            while True:
                call, kind, content = pickle.loads(self._connection.recv_bytes())
                if (waiting := self._calls.get(call)) is not None:
                    waiting.put((kind, content))
        except (EOFError, OSError):
            pass
        died = self.how_it_ended()
        with self._guard:
            self._died = died
            waiting_calls = list(self._calls.values())
        for one in waiting_calls:
            one.put(("died", died))
        self._connection.close()


class ProcessReplica(ConnectedReplica):
    """See :class:`.replica.Replica`. The process ends with this one, however that ends.

    Args:
        model: what it computes with.
        threads: how many it computes with.

    Raises:
        TempoError: the process does not start.
    """

    def __init__(self, model: SharedModel, *, name: str, threads: int) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tempo.distributed.worker", str(theirs.fileno()), str(model.file)],
                pass_fds=[theirs.fileno(), model.file],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=None if os.environ.get("TEMPO_DEBUG", "") not in ("", "0") else subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,  # Ctrl-C is this process's, which ends the calls
            )
            connection = Connection(os.dup(ours.fileno()))
        started: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        super().__init__(connection, name=name, calls={0: started})
        with contextlib.suppress(OSError):  # it is gone already, which the reader will see
            connection.send_bytes(pickle.dumps((threads, name, model.pickled)))
        try:
            kind, content = started.get()
        except BaseException:
            self.close()
            raise
        del self._calls[0]
        if kind == "died":
            raise TempoError(f"the compressor process on {name} did not start ({content}); try fewer devices")

    @property
    def process_id(self) -> int:
        return self._process.pid

    def close(self) -> None:
        super().close()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def how_it_ended(self) -> str:
        return how_it_ended(self._process.wait())
