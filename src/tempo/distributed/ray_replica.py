"""A compressor replica on a machine of a Ray cluster, as it is seen from here."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import uuid
from collections.abc import Callable
from typing import Any

from tempo.console import Progress
from tempo.devices import name_on_machine
from tempo.errors import TempoError, describe
from tempo.inference.engine import Tempo

from .replica import (
    CancelledError,
    CompressorReplica,
    RemoteReplica,
    ReplicaDiedError,
    portable,
    replica_in_thread,
)

START_WITHIN = 600.0  # seconds for a machine to be free and to load the model
_BEAT = 0.1  # seconds between two looks at a call
MOST_CALLS = 64  # of one actor at once; they take turns


class ActorReplica(RemoteReplica):
    """See :class:`.replica.Replica`. Its actor is a :class:`ReplicaActor`.

    Args:
        ray: the package, connected to a cluster.
        actor: ends by itself, or with who started it.
    """

    def __init__(self, ray: Any, actor: Any, *, name: str) -> None:
        self.name = name
        self._ray, self._actor = ray, actor

    def forget(self, key: str) -> None:
        with contextlib.suppress(Exception):  # where it is gone, everything is forgotten
            self._actor.call.remote("", "forget", (key,), False)

    def close(self) -> None:
        pass

    def _call(self, method: str, *arguments: object, progress: Progress | None = None) -> Any:
        name = uuid.uuid4().hex  # a late `cancel` means no call of whoever the actor helps next
        result = self._actor.call.remote(name, method, arguments, progress is not None)
        try:
            while not self._ray.wait([result], timeout=_BEAT)[0]:
                if progress is not None:
                    progress(*self._get(self._actor.moved.remote(name)))
            return self._get(result)
        except ReplicaDiedError:
            raise
        except BaseException:
            with contextlib.suppress(Exception):
                self._actor.cancel.remote(name)
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


class RayReplica(ActorReplica):
    """See :class:`.replica.Replica`. It is an actor, which ends with this process.

    Args:
        ray: the package, connected to a cluster.
        load: loads the model, on the machine that calls it.
        needed: what Ray is to reserve for it.

    Raises:
        TempoError: no machine is free for it, or the model cannot be loaded there.
    """

    def __init__(self, ray: Any, load: Callable[[], Tempo], needed: dict[str, float]) -> None:
        actor = ray.remote(_Actor).options(max_concurrency=MOST_CALLS, **needed).remote(load)
        super().__init__(ray, actor, name="a machine of the cluster")
        try:
            self.name = self._get(actor.start.remote(os.getcwd()), timeout=START_WITHIN)
        except ReplicaDiedError as error:
            raise TempoError(
                f"a compressor of the cluster died while it loaded the model ({error}); check the memory of "
                "its machines"
            ) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        with contextlib.suppress(Exception):  # it is gone already
            self._ray.kill(self._actor)


class ReplicaCalls:
    """The calls of a replica in this process, from several threads: what a :class:`ReplicaActor` has."""

    def __init__(self, replica: CompressorReplica) -> None:
        self._replica = replica
        self._changed = threading.Condition()
        self._moved: dict[str, tuple[int, int]] = {}
        self._running = 0
        self._cancelled: set[str] = set()
        self._ended = False

    def call(self, name: str, method: str, arguments: tuple[Any, ...], progressing: bool) -> Any:
        """Call the replica; `moved` says meanwhile how far it is."""

        def moved(done: int, total: int) -> None:
            with self._changed:
                if self._ended or name in self._cancelled:
                    raise CancelledError
                self._moved[name] = (done, total)

        with self._changed:
            self._running += 1
        try:
            return portable(getattr(self._replica, method)(*arguments, *([moved] if progressing else [])))
        finally:
            with self._changed:
                self._running -= 1
                self._moved.pop(name, None)
                self._cancelled.discard(name)
                self._changed.notify_all()

    def moved(self, name: str) -> tuple[int, int]:
        """How far a call is."""
        with self._changed:
            return self._moved.get(name, (0, 0))

    def cancel(self, name: str) -> None:
        """End a call soon."""
        with self._changed:
            self._cancelled.add(name)

    def end(self) -> None:
        """End all calls, wait for that, and let go of what the replica keeps."""
        with self._changed:
            self._ended = True
            self._changed.wait_for(lambda: not self._running)
        self._replica.close()


class ReplicaActor:
    """An actor that others call as a replica, by an :class:`ActorReplica`. It sets `_calls`."""

    _calls: ReplicaCalls

    def call(self, name: str, method: str, arguments: tuple[Any, ...], progressing: bool) -> Any:
        """See :class:`ReplicaCalls`."""
        return self._calls.call(name, method, arguments, progressing)

    def moved(self, name: str) -> tuple[int, int]:
        """See :class:`ReplicaCalls`."""
        return self._calls.moved(name)

    def cancel(self, name: str) -> None:
        """See :class:`ReplicaCalls`."""
        self._calls.cancel(name)


class _Actor(ReplicaActor):
    """What runs in the cluster."""

    def __init__(self, load: Callable[[], Tempo]) -> None:
        self._load = load

    def start(self, folder: str) -> str:
        """Load the model → the name of the machine. Paths are relative to FOLDER. Raises TempoError."""
        host = socket.gethostname()
        with contextlib.suppress(OSError):  # it may not be there; absolute paths do without
            os.chdir(folder)
        try:
            model = self._load()
        except Exception as error:
            raise TempoError(f"worker on {host}: {describe(error)}") from None
        replica = replica_in_thread(model, model.device)
        replica.name = f"{host} ({name_on_machine(model.device)})"
        self._calls = ReplicaCalls(replica)
        return replica.name
