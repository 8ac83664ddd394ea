"""A model whose compressor runs on several devices at once."""

from __future__ import annotations

import contextlib
import uuid
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch

from tempo.console import say
from tempo.inference.cache_policy import CacheKind
from tempo.inference.engine import Tempo
from tempo.inference.session import Session
from tempo.inference.watch_request import WatchRequest

from .distributed_session import DistributedSession, Works
from .lent_replica import LentReplica
from .process_replica import ProcessReplica
from .ray_cluster import WorkerResources, connect, wait_for_room, workers_that_fit
from .ray_replica import RayReplica
from .replica import RangeWork, Replica, compressor_of, replica_in_thread
from .replica_pool import ReplicaPool
from .weight_sharing import SharedModel


class DistributedTempo(Tempo):
    """What :func:`tempo.load` returns for several devices. The decoder is on the first of them.

    Attributes:
        pool: the replicas.
    """

    def __init__(self, model: Tempo, pool: ReplicaPool) -> None:
        super().__init__(model.model, model.prompts, name=model.name)
        self.pool = pool
        self._end = weakref.finalize(self, pool.close)

    def close(self) -> None:
        """End the replicas, with what they keep of watched videos."""
        self._end()

    @property
    def facts(self) -> list[tuple[str, str]]:
        names = ", ".join(slot.replica.name for slot in self.pool.slots)
        return [*super().facts, ("watches on", names)]

    def watch_in(self, place: CacheKind, request: WatchRequest) -> Session:
        """See :meth:`Tempo.watch_in`."""
        works = self._deal(place, request)
        if place == "disk":
            self.disk.check_limit(self.expected_bytes(request))
        elif place != "none":
            expected = [(slot, self.expected_bytes(replace(request, part=work.part))) for slot, work in works]
            self.pool.check_room(place, expected)
        session = DistributedSession(self, request, self.pool, works)
        if place != "none":
            session.watch()
        return session

    def _deal(self, place: CacheKind, request: WatchRequest) -> Works:
        dealt = self.pool.deal(request.segments(self.config.segment_frames))
        name = uuid.uuid4().hex
        works = []
        for slot, part in dealt:
            of_range = request.key and (
                request.key if len(dealt) == 1 else f"{request.key}-{part.start}-{part.stop}"
            )
            work = RangeWork(
                key=f"{name}-{part.start}",
                video=request.video,
                sampling=request.sampling,
                part=part,
                place=place,
                disk=self.disk,
                disk_key=of_range,
                whole_disk_key=request.key,
                most_together=request.most_together,
            )
            works.append((slot, work))
        return works

    def _is_on_disk(self, request: WatchRequest) -> bool:
        works = self._deal("disk", request)
        return super()._is_on_disk(request) or all(self.disk.has(work.disk_key) for _, work in works)


def distribute(model: Tempo, devices: Sequence[torch.device]) -> DistributedTempo:
    """Let a model compress on several devices.

    Each accelerator has a copy of the compressor, and a thread of this process computes there. Every further
    "cpu" is a process of its own, which shares the weights of this one.

    Args:
        model: on the first device.

    Raises:
        TempoError: a replica cannot be started.
    """
    processes = [number for number, device in enumerate(devices) if number and device.type == "cpu"]
    shared: SharedModel | None = None
    if processes:
        shared = SharedModel(compressor_of(model, model.model.compressor))
    threads = max(1, torch.get_num_threads() // max(1, sum(device.type == "cpu" for device in devices)))
    starts: list[Callable[[], Replica]] = []
    for number, device in enumerate(devices):
        if shared is not None and number in processes:
            starts.append(
                partial(ProcessReplica, shared, name=f"{device} (process {number})", threads=threads)
            )
        else:
            starts.append(partial(replica_in_thread, model, device))
    try:
        found = DistributedTempo(model, ReplicaPool(starts))
    except BaseException:
        if shared is not None:
            shared.close()
        raise
    if shared is not None:
        weakref.finalize(found, shared.close)
    return found


def distribute_on_ray(model: Tempo, address: str, load: Callable[[], Tempo]) -> DistributedTempo:
    """Let a model compress on the machines of a Ray cluster; this process allocates and decodes.

    Args:
        model: here.
        address: see :func:`.ray_cluster.connect`.
        load: loads the same model, for the machines to call. There are as many replicas as the cluster has
            room for, each with a GPU where there are any; where it has none and an autoscaler, as many as
            its first machine has.

    Raises:
        TempoError: there is no Ray, it has no room and gets none, or a replica cannot be started.
    """
    ray = connect(address)
    room, needed = workers_that_fit(ray, WorkerResources())
    if not room:
        wait_for_room(ray, needed, say)
        room = max(1, workers_that_fit(ray, WorkerResources())[0])
    return DistributedTempo(model, ReplicaPool([partial(RayReplica, ray, load, needed)] * room))


@contextlib.contextmanager
def helped(model: Tempo, helpers: Sequence[Replica]) -> Iterator[tuple[Tempo, Sequence[LentReplica]]]:
    """A model that watches with the help of replicas that others lend it, for the block.

    What a helper cannot do is done here. The helpers are closed at the end.

    Yields:
        The model, and the replicas that are lent to it.
    """
    if not helpers:
        yield model, ()
        return
    here = partial(replica_in_thread, model, model.device)
    lent = [LentReplica(one, here) for one in helpers]
    several = DistributedTempo(model, ReplicaPool([here, *(partial(_itself, one) for one in lent)]))
    several.disk = model.disk
    try:
        yield several, lent
    finally:
        several.close()


def _itself(replica: LentReplica) -> Replica:
    return replica
