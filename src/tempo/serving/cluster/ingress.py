"""The API server as a deployment too, where no `tempo serve` runs but Ray Serve's own proxies do."""

from __future__ import annotations

import dataclasses
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tempo.errors import TempoError
from tempo.serving.app import make_app
from tempo.serving.service import ServiceSettings

from .cluster_service import ClusterService
from .deployment import WorkerRange, worker_deployment
from .sent_files import start_reader
from .serve_replica import ReplicaConfig

_apps: list[Any] = []  # of this process


class ApiServer:
    """One process, because the files that clients send are on its machine."""

    def __init__(self, settings: ServiceSettings, handle: Any, key_needed: bool) -> None:
        """Raises TempoError: this machine has no TEMPO_API_KEY, and nobody said that it may serve without."""
        import ray

        api_key = os.environ.get("TEMPO_API_KEY") or None
        if key_needed and api_key is None:
            raise TempoError(
                f"the machine {socket.gethostname()} has no TEMPO_API_KEY; give it to all of them"
            )
        with ThreadPoolExecutor(1) as thread:  # in this one Ray's own loop runs
            info, name = thread.submit(lambda: handle.describe.remote().result()).result()
        self._reader, reader_name = start_reader(ray)
        self.service = ClusterService(
            handle, info, dataclasses.replace(settings, name=name), reader=reader_name
        )
        self._reader.open.remote(self.service.folder.path)
        _apps.append(make_app(self.service, api_key=api_key))

    def __del__(self) -> None:
        if hasattr(self, "service"):
            self.service.close()


def _app() -> Any:
    """The application of this process. Ray calls it after the constructor of `ApiServer`."""
    return _apps[-1]


def application_with_http(
    config: ReplicaConfig, workers: WorkerRange, needed: dict[str, float], *, key_needed: bool
) -> Any:
    """The application of Ray Serve with its API server.

    Args:
        needed: what Ray is to reserve for a worker.
        key_needed: whether the API server must not serve where it has no key.
    """
    from ray import serve

    settings = workers.settings_of_all(config.settings)
    api_server = serve.deployment(
        serve.ingress(_app)(ApiServer),
        name="ApiServer",
        num_replicas=1,
        ray_actor_options={"num_cpus": 0},
        max_ongoing_requests=2 * settings.most_waiting,  # those that only read or send files too
    )
    return api_server.bind(settings, worker_deployment(config, workers, needed), key_needed)
