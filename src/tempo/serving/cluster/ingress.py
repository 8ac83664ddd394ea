"""The HTTP side as a deployment too, where no `tempo serve` runs but Ray Serve's own proxies do."""

from __future__ import annotations

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tempo.serving.app import make_app
from tempo.serving.service import ServiceSettings

from .cluster_service import ClusterService
from .deployment import WorkerRange, worker_deployment
from .sent_files import start_reader
from .worker import WorkerConfig

_apps: list[Any] = []  # of this process


class Front:
    """One process, because the files that clients send are on its machine."""

    def __init__(self, settings: ServiceSettings, handle: Any) -> None:
        import ray
        from ray import serve

        application = serve.get_replica_context().app_name
        with ThreadPoolExecutor(1) as thread:  # in this one Ray's own loop runs
            info, name = thread.submit(lambda: handle.describe.remote().result()).result()
        self.service = ClusterService(handle, info, dataclasses.replace(settings, name=name))
        self._reader = start_reader(ray, application)
        self._reader.open.remote(self.service.folder.path)
        _apps.append(make_app(self.service, api_key=os.environ.get("TEMPO_API_KEY") or None))

    def __del__(self) -> None:
        if hasattr(self, "service"):
            self.service.close()


def _app() -> Any:
    """The application of this process. Ray calls it after the constructor of `Front`."""
    return _apps[-1]


def application_with_http(config: WorkerConfig, workers: WorkerRange, needed: dict[str, float]) -> Any:
    """The application of Ray Serve with its HTTP side. NEEDED: what Ray is to reserve for a worker."""
    from ray import serve

    settings = workers.settings_of_all(config.settings)
    front = serve.deployment(
        serve.ingress(_app)(Front),
        name="Front",
        num_replicas=1,
        ray_actor_options={"num_cpus": 0},
        max_ongoing_requests=2 * settings.most_waiting,  # those that only read or send files too
    )
    return front.bind(settings, worker_deployment(config, workers, needed))
