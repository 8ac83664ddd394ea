"""Which worker gets a request: the one that keeps its video. Ray imports this module by name."""

from __future__ import annotations

import hashlib
import time
from typing import Any

try:
    from ray.serve.request_router import PendingRequest, RequestRouter, RunningReplica
except ModuleNotFoundError:  # this module can still be imported, as every module can
    PendingRequest = RunningReplica = Any
    RequestRouter = object

_INSIST = 3.0  # seconds


class VideoRouter(RequestRouter):
    """Ranks workers by rendezvous hashing over the key of a request, which is that of its video.

    Every key has a ranking of its own, and a worker that comes or goes changes who is first only where it is.
    A request goes to the first worker that takes one more. Ray passes one over that does not say within a
    moment how much it has to do, but a worker that computes may be slow to say so, and another one would have
    to watch the video: for some seconds the first is insisted on.
    """

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> list[list[RunningReplica]]:
        if pending_request is None:
            return [candidate_replicas]
        pending_request.routing_context.should_backoff = True  # between rounds in which nobody took it
        order = ranked(candidate_replicas, pending_request.kwargs.get("key", ""))
        waited = time.time() - pending_request.created_at
        if waited < _INSIST and self.select_available_replicas(order[:1]):
            return [order[:1]]
        return [[one] for one in order]


def ranked(replicas: list[Any], key: str) -> list[Any]:
    """Replicas by the hash of KEY and their own identity."""

    def weight(replica: Any) -> bytes:
        return hashlib.sha256(f"{key}\n{replica.replica_id.unique_id}".encode()).digest()

    return sorted(replicas, key=weight)
