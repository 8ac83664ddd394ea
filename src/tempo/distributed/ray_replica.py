"""A compressor replica on a machine of a Ray cluster, as it is seen from here."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

from tempo.console import Progress
from tempo.errors import TempoError, describe
from tempo.inference.engine import Tempo

from .replica import (
    CompressorReplica,
    RemoteReplica,
    ReplicaDiedError,
    replica_in_thread,
)

START_WITHIN = 600.0  # seconds for a machine to be free and to load the model
_BEAT = 0.1  # seconds between two looks at a call
_MOST_CALLS = 64  # of one actor at once; they take turns


class RayReplica(RemoteReplica):
    """See :class:`.replica.Replica`. It is an actor, which ends with this process.

    Args:
        ray: the package, connected to a cluster.
        load: loads the model, on the machine that calls it.
        needed: what Ray is to reserve for it.

    Raises:
        TempoError: no machine is free for it, or the model cannot be loaded there.
    """

    def __init__(self, ray: Any, load: Callable[[], Tempo], needed: dict[str, float]) -> None:
        self._ray = ray
        self._numbers = itertools.count(1)
        self._actor = ray.remote(_Actor).options(max_concurrency=_MOST_CALLS, **needed).remote(load)
        self.name = "a machine of the cluster"
        try:
            self.name = self._get(self._actor.start.remote(os.getcwd()), timeout=START_WITHIN)
        except ReplicaDiedError as error:
            raise TempoError(
                f"a compressor of the cluster died while it loaded the model ({error}); check the memory of "
                "its machines"
            ) from error
        except BaseException:
            self.close()
            raise

    def forget(self, key: str) -> None:
        with contextlib.suppress(Exception):  # where it is gone, everything is forgotten
            self._actor.call.remote(0, "forget", (key,), False)

    def close(self) -> None:
        with contextlib.suppress(Exception):  # it is gone already
            self._ray.kill(self._actor)

    def _call(self, method: str, *arguments: object, progress: Progress | None = None) -> Any:
        number = next(self._numbers)
        result = self._actor.call.remote(number, method, arguments, progress is not None)
        try:
            while not self._ray.wait([result], timeout=_BEAT)[0]:
                if progress is not None:
                    progress(*self._get(self._actor.moved.remote(number)))
            return self._get(result)
        except ReplicaDiedError:
            raise
        except BaseException:
            with contextlib.suppress(Exception):
                self._actor.cancel.remote(number)
            raise

    def _get(self, reference: Any, *, timeout: float | None = None) -> Any:
        from ray.exceptions import GetTimeoutError, RayError, RayTaskError

        try:
            return self._ray.get(reference, timeout=timeout)
        except RayTaskError as error:
            raise error.cause from error
        except GetTimeoutError as error:
            raise TempoError(
                f"no machine of the cluster was free for a compressor within {timeout:g} s; try fewer"
            ) from error
        except RayError as error:
            raise ReplicaDiedError("killed or crashed, often due to lack of memory") from error


class _CancelledError(Exception):
    """Nobody waits for a call any more."""


class _Actor:
    """What runs in the cluster: a :class:`.replica.CompressorReplica`, called from several threads."""

    def __init__(self, load: Callable[[], Tempo]) -> None:
        self._load = load
        self._guard = threading.Lock()
        self._moved: dict[int, tuple[int, int]] = {}
        self._cancelled: set[int] = set()
        self._replica: CompressorReplica | None = None

    def start(self, folder: str) -> str:
        """Load the model → the name of the machine. Paths are relative to FOLDER. Raises TempoError."""
        host = socket.gethostname()
        with contextlib.suppress(OSError):  # it may not be there; absolute paths do without
            os.chdir(folder)
        try:
            model = self._load()
        except Exception as error:
            raise TempoError(f"worker on {host}: {describe(error)}") from None
        self._replica = replica_in_thread(model, model.device)
        self._replica.name = f"{host} ({model.device})"
        return self._replica.name

    def call(self, number: int, method: str, arguments: tuple[Any, ...], progressing: bool) -> Any:
        """Call the replica; `moved` says meanwhile how far it is."""

        def moved(done: int, total: int) -> None:
            with self._guard:
                if number in self._cancelled:
                    raise _CancelledError
                self._moved[number] = (done, total)

        try:
            return getattr(self._replica, method)(*arguments, *([moved] if progressing else []))
        finally:
            with self._guard:
                self._moved.pop(number, None)
                self._cancelled.discard(number)

    def moved(self, number: int) -> tuple[int, int]:
        """How far a call is."""
        with self._guard:
            return self._moved.get(number, (0, 0))

    def cancel(self, number: int) -> None:
        """End a call soon."""
        with self._guard:
            self._cancelled.add(number)
