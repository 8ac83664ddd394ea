"""Workers of a batch run that are actors of a Ray cluster.

Actors, not Ray Data's `map_batches`: each answer comes back when it is made and not with its block, and it
is known at which question an actor died.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from tempo.distributed.ray_cluster import (
    GROWING,
    WAITING,
    WorkerResources,
    absolute,
    grows,
    is_lost,
    shortage,
    workers_that_fit,
)
from tempo.distributed.ray_replica import MOST_CALLS, ActorReplica, ReplicaActor, ReplicaCalls
from tempo.distributed.replica import replica_in_thread
from tempo.errors import TempoError, UsageError, describe

from .cases import VideoGroup
from .pool import MACHINE_LOST, Message, WorkerDiedError
from .worker import WorkerConfig, answer, kind_of, load

# Seconds without any worker after which the user is told what they wait for: where others hold the cluster,
# and where it is too small.
PATIENCE, CERTAINTY = 120.0, 2.0


class RayActors:
    """Actors that hold cores or GPUs of their machines, one after another as these have room.

    An actor may die with its machine, so a case has two attempts.

    Args:
        ray: the package, connected to a cluster.
        config: of the workers.
        resources: what each holds.
        warn: is told what the workers wait for.

    Attributes:
        room: actors that the cluster has room for now; it may grow.
    """

    attempts, alike = 2, False
    missing = "check the memory of the cluster's machines"

    def __init__(
        self, ray: Any, config: WorkerConfig, resources: WorkerResources, warn: Callable[[str], None]
    ) -> None:
        self.ray, self.warn = ray, warn
        base = config.model_options.get("base")
        self.config = replace(
            config,
            model=absolute(config.model) if config.model else None,
            model_options=config.model_options | ({"base": absolute(base)} if base else {}),
        )
        self.shares = config.shares_videos
        self.room, self.needed = workers_that_fit(ray, resources)
        self._actor = ray.remote(_Actor)
        self._told = False

    def start(self, index: int) -> ActorWorker:
        actor = self._actor.options(max_concurrency=MOST_CALLS, **self.needed).remote(self.config)
        return ActorWorker(self.ray, actor)

    def ready(self, workers: Sequence[ActorWorker], patience: float | None = None) -> list[ActorWorker]:
        waited_for = {worker.coming: worker for worker in workers if worker.coming is not None}
        if not self._told and not any(worker.name for worker in workers):
            patience = PATIENCE if self.room else CERTAINTY
        found, _ = self.ray.wait(list(waited_for), timeout=patience, fetch_local=False)
        if not found:
            if not self._told and not any(worker.name for worker in workers):
                self._told = True
                waits = GROWING if grows(self.ray) else WAITING
                self.warn(f"{shortage(self.ray, self.needed)}; {waits}")
            return []
        more, _ = self.ray.wait(list(waited_for), num_returns=len(waited_for), timeout=0, fetch_local=False)
        return [waited_for[one] for one in more]


class ActorWorker:
    """An actor, and the reference to what comes from it next.

    Attributes:
        coming: the reference; None where the actor has nothing to do.
        name: of its machine, once it has the model; until then "".
    """

    def __init__(self, ray: Any, actor: Any) -> None:
        self.ray, self.actor = ray, actor
        self._node = actor.node.remote()
        self.coming: Any = actor.load.remote()
        self.name = ""

    def assign(self, group: VideoGroup | None, helpers: Sequence[ActorWorker] = ()) -> None:
        if group is None:  # its cores and GPU are for whoever takes the place of one that dies
            self.coming = None
            self.end(at_once=True)
            return
        # Paths are relative to the folder of the command, which is not the actor's.
        group = replace(group, video_path=absolute(group.video_path))
        self.coming = self.actor.answer.options(num_returns="streaming").remote(
            group, [(helper.actor, helper.name) for helper in helpers]
        )
        for helper in helpers:
            helper.coming = helper.actor.help.options(num_returns="streaming").remote()

    def release(self) -> None:
        with contextlib.suppress(Exception):  # it is gone already
            self.actor.release.remote()

    def receive(self) -> Message:
        from ray.exceptions import RayActorError, RayError, RayTaskError

        try:
            if not self.name:
                found, self.coming = self.ray.get(self.coming), None
                if isinstance(found, TempoError):
                    return "load_error", found
                self.name, kind = found
                return "ready", kind
            try:
                return "record", self.ray.get(next(self.coming))
            except StopIteration:
                self.coming = None
                return "done", None
        except RayTaskError:  # a fault of ours: what a user can mend is in the records
            raise
        except RayActorError as error:
            raise self._death("killed or crashed, often due to lack of memory") from error
        except RayError as error:
            raise self._death(str(error).splitlines()[0]) from error

    def _death(self, how: str) -> WorkerDiedError:
        """What the actor died of, where its machine is still there."""
        from ray.exceptions import RayError

        try:
            lost = is_lost(self.ray, self.ray.get(self._node, timeout=0))
        except (RayError, TimeoutError):  # it never ran
            lost = False
        return WorkerDiedError("its machine is gone", attempt=MACHINE_LOST) if lost else WorkerDiedError(how)

    def end(self, *, at_once: bool) -> None:
        del at_once  # what a worker has made is here, so there is nothing to wait for
        with contextlib.suppress(Exception):  # it is gone already
            self.ray.kill(self.actor)


class _Actor(ReplicaActor):
    """What runs in the cluster: the model, and the questions of one video after another.

    While `help` runs, another actor calls it as a replica.
    """

    def __init__(self, config: WorkerConfig) -> None:
        self.config = config
        self.model: Any = None
        self.name = socket.gethostname()
        self._released = threading.Event()

    def node(self) -> str:
        """Ray's id of the machine."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def load(self) -> TempoError | tuple[str, str]:
        """Load the model → the worker's name and kind, or what is wrong in one line that names it."""
        import warnings

        warnings.simplefilter("ignore")
        try:
            self.model = load(self.config)
            self._calls = self._own_calls()
        except Exception as error:
            kind = UsageError if isinstance(error, UsageError) else TempoError
            return kind(f"worker on {self.name}: {describe(error)}")
        return self.name, kind_of(self.model)

    def answer(
        self, group: VideoGroup, helpers: Sequence[tuple[Any, str]]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Answer the cases of a group with the help of actors, each with its name → (number, record)."""
        import ray

        replicas = [ActorReplica(ray, actor, name=name) for actor, name in helpers]
        for number, record in answer(self.model, group, self.config, replicas):
            yield number, {**record, "worker": self.name}

    def help(self) -> Iterator[None]:
        """Be a replica until `release` is called."""
        self._released.wait()
        self._released.clear()
        self._calls.end()
        self._calls = self._own_calls()
        yield from ()

    def release(self) -> None:
        """End `help`."""
        self._released.set()

    def _own_calls(self) -> ReplicaCalls:
        return ReplicaCalls(replica_in_thread(self.model, self.model.device))
