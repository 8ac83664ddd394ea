"""Start the workers of a server on a Ray cluster, and end them with it."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import re
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

from tempo.distributed.ray_cluster import (
    GROWING,
    ROOM_WITHIN,
    WAITING,
    WorkerResources,
    fits_somewhere,
    grows,
    shortage,
    workers_that_fit,
)
from tempo.errors import TempoError
from tempo.inference.model_info import ModelInfo
from tempo.serving.service import ServiceSettings

from .cluster_service import ClusterService
from .sent_files import start_reader
from .serve_instance import leave_serve, start_serve
from .serve_replica import ReplicaConfig, ServeReplica

DEPLOYMENT = "Worker"
_NO_ROOM = "to be scheduled"  # Ray Serve says so of workers that wait for a machine, after half a minute
_BUSY = 4.0  # requests at once that one worker is to have, by which Ray starts and ends workers


@dataclasses.dataclass(frozen=True)
class WorkerRange:
    """How many workers there are at least and at most, and what each holds of its machine."""

    least: int
    most: int
    resources: WorkerResources

    def settings_of_all(self, settings: ServiceSettings) -> ServiceSettings:
        """Those of the API server, from those of each worker."""
        return dataclasses.replace(settings, most_waiting=settings.most_waiting * self.most)


def worker_deployment(config: ReplicaConfig, workers: WorkerRange, needed: dict[str, float]) -> Any:
    """The workers, bound as Ray Serve takes them. NEEDED: what it is to reserve for each."""
    from ray import serve
    from ray.serve.config import AutoscalingConfig, RequestRouterConfig

    deployment = serve.deployment(
        ServeReplica,
        name=DEPLOYMENT,
        ray_actor_options=needed,
        max_ongoing_requests=config.settings.most_waiting,
        autoscaling_config=AutoscalingConfig(
            min_replicas=workers.least,
            max_replicas=workers.most,
            initial_replicas=workers.least,
            # With those that wait; a worker that takes fewer would never have so many.
            target_ongoing_requests=min(_BUSY, config.settings.most_waiting),
        ),
        request_router_config=RequestRouterConfig(
            request_router_class="tempo.serving.cluster.routing.VideoRouter"
        ),
        graceful_shutdown_timeout_s=config.settings.timeout,  # Ray ends workers whatever they do
    )
    return deployment.bind(config)


@contextlib.contextmanager
def served_by(
    ray: Any, config: ReplicaConfig, workers: WorkerRange, warn: Callable[[str], None]
) -> Iterator[ClusterService]:
    """Deploy the workers for the block, and yield the service that they are behind.

    Args:
        ray: the package, connected to a cluster.
        warn: is told what is waited for.

    Raises:
        TempoError: no worker can start; the text says why.
    """
    from ray import serve

    _, needed = workers_that_fit(ray, workers.resources)
    if not fits_somewhere(ray, needed) and not grows(ray):
        raise TempoError(f"{shortage(ray, needed)}; lower --cpus-per-worker and --gpus-per-worker")
    logging.getLogger("ray.serve").setLevel(logging.CRITICAL)
    name = f"tempo-{secrets.token_hex(4)}"
    settings = workers.settings_of_all(config.settings)
    start_serve(ray)
    try:
        reader, reader_name = start_reader(ray)
        target = worker_deployment(dataclasses.replace(config, reader=reader_name), workers, needed)
        run = serve.RunTarget(target, name=name, route_prefix=None)
        (handle,) = serve.run_many([run], wait_for_applications_running=False)
        _wait(ray, serve, name, workers.least, needed, warn)
        info, shown = _described(handle)
        service = ClusterService(handle, info, dataclasses.replace(settings, name=shown), reader=reader_name)
        with contextlib.closing(service):
            ray.get(reader.open.remote(service.folder.path))
            yield service
    finally:
        with contextlib.suppress(Exception):  # the cluster may be gone
            leave_serve(ray, name)


def _wait(
    ray: Any, serve: Any, name: str, least: int, needed: dict[str, float], warn: Callable[[str], None]
) -> None:
    """Return once LEAST workers run, or as many as fit now. Raises TempoError where none can start."""
    begun, patience = time.monotonic(), math.inf if grows(ray) else ROOM_WITHIN
    if told := not fits_somewhere(ray, needed):
        warn(f"{shortage(ray, needed)}; {GROWING}")
    while True:
        time.sleep(0.2)
        found = serve.status().applications.get(name)
        deployment = found and found.deployments.get(DEPLOYMENT)
        if found and not deployment and found.status == "DEPLOY_FAILED":
            raise TempoError(f"Ray Serve cannot start the workers: {' '.join(found.message.split())}")
        if not found or not deployment:
            continue
        running, no_room = deployment.replica_states.get("RUNNING", 0), _NO_ROOM in deployment.message
        if running >= least or (running and no_room):
            return
        if reason := _reason(deployment.message):
            raise TempoError(reason)
        if found.status == "DEPLOY_FAILED":
            raise TempoError(f"Ray Serve cannot start the workers: {' '.join(found.message.split())}")
        if no_room:
            if time.monotonic() - begun > patience:
                raise TempoError(f"{shortage(ray, needed)}; others held them for {patience:g} s")
            if not told:
                told = True
                warn(f"{shortage(ray, needed)}; {WAITING}")


def _described(handle: Any) -> tuple[ModelInfo, str]:
    """The model of the workers, and its name. Raises TempoError where they die."""
    from ray.exceptions import RayError
    from ray.serve.exceptions import RayServeException

    try:
        found: tuple[ModelInfo, str] = handle.describe.remote().result()
    except (RayError, RayServeException) as error:
        raise TempoError("the worker died as soon as it had started; check its machine's memory") from error
    return found


def _reason(message: str) -> str | None:
    """Why a worker could not start, from what Ray Serve says: the last line of a traceback."""
    found = re.findall(r"^(?:\w+\.)*(\w*(?:Error|Exception)): (.+)$", message, re.MULTILINE)
    if not found:
        return None
    kind, text = found[-1]
    return text if kind in ("TempoError", "UsageError") else f"a worker cannot start: {kind}: {text}"
