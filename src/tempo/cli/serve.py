"""Serve a model to OpenAI clients over HTTP.

The server answers POST /v1/chat/completions with a video_url. It watches each video once, caches it, and
answers the next question about it from the cache, whichever client asks.

With --ray the model is in workers on the machines of a Ray cluster (pip install 'tempo-video[serve,ray]' on
all of them), and a video is asked where it is cached. Limits of queue, videos and cache are each worker's.

Examples:
  tempo serve
  tempo serve --model Vision-CAIR/Tempo-6B --device cuda --api-key secret --host 0.0.0.0
  tempo serve --allowed-local-media-path /videos --cache-gb 16
  tempo serve --model /shared/Tempo-6B --ray auto --max-workers 8 --gpus-per-worker 1 --cpus-per-worker 4
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .options import (
    add_cluster_workers,
    add_decoding_options,
    add_model_options,
    given,
    positive_integer,
    positive_number,
)

if TYPE_CHECKING:
    from tempo.serving.answer_service import AnswerService
    from tempo.serving.cluster.deployment import WorkerRange
    from tempo.serving.cluster.serve_replica import ReplicaConfig
    from tempo.serving.service import ServiceSettings

_LOG_LEVELS = ("critical", "error", "warning", "info", "debug")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_model_options(parser, several_devices=True)
    server = parser.add_argument_group("server")
    server.add_argument(
        "--host", default="127.0.0.1", metavar="H", help="address to listen on (default: 127.0.0.1)"
    )
    server.add_argument(
        "--port",
        type=int,
        default=8000,
        metavar="P",
        help="port to listen on; 0: any free one (default: 8000)",
    )
    server.add_argument(
        "--api-key", metavar="KEY", help="key that clients must send (default: $TEMPO_API_KEY)"
    )
    server.add_argument(
        "--allow-without-key", action="store_true", help="accept requests from other machines without a key"
    )
    server.add_argument(
        "--served-model-name", metavar="NAME", help="name of the model in the API (default: its own)"
    )
    server.add_argument(
        "--request-timeout",
        type=positive_number,
        default=3600.0,
        metavar="S",
        help="longest time for a request, in seconds (default: 3600)",
    )
    server.add_argument(
        "--max-queue",
        type=positive_integer,
        default=64,
        metavar="N",
        help="requests that may run or wait; refuse more (default: 64)",
    )
    server.add_argument(
        "--log-level", choices=_LOG_LEVELS, default="info", metavar="L", help="log level (default: info)"
    )
    _add_media(parser)
    _add_cluster(parser)


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    """Declare the workers on a Ray cluster."""
    cluster = add_cluster_workers(parser)
    cluster.add_argument(
        "--min-workers", type=positive_integer, metavar="N", help="workers that always run (default: 1)"
    )
    cluster.add_argument(
        "--max-workers",
        type=positive_integer,
        metavar="N",
        help="most workers; Ray starts and ends them with the load (default: as many as the cluster has room "
        "for)",
    )


def _add_media(parser: argparse.ArgumentParser) -> None:
    """Declare which videos may be fetched, and where they are cached."""
    media = parser.add_argument_group("videos")
    media.add_argument(
        "--allowed-local-media-path", type=Path, metavar="DIR", help="allow file:// addresses below DIR"
    )
    media.add_argument(
        "--allowed-media-domains", nargs="+", default=(), metavar="HOST", help="fetch from these hosts only"
    )
    media.add_argument(
        "--allow-private-addresses", action="store_true", help="allow private and loopback addresses"
    )
    media.add_argument(
        "--max-video-mb",
        type=positive_integer,
        default=2000,
        metavar="MB",
        help="largest video (default: 2000)",
    )
    add_decoding_options(media)
    cache = parser.add_argument_group("cache")
    cache.add_argument(
        "--cache",
        choices=("auto", "device", "host", "disk"),
        default="auto",
        metavar="C",
        help="where to cache watched videos: device, host or disk (default: auto, the first with room)",
    )
    cache.add_argument(
        "--max-videos",
        type=positive_integer,
        default=64,
        metavar="N",
        help="most videos to cache (default: 64)",
    )
    cache.add_argument(
        "--cache-gb",
        type=positive_number,
        default=8.0,
        metavar="GB",
        help="room for all cached videos, in memory and on disk each (default: 8)",
    )


def run(args: argparse.Namespace) -> None:
    """Load the model and serve it until Ctrl-C or SIGTERM."""
    import importlib.util

    from tempo.errors import TempoError

    for package in ("fastapi", "uvicorn", "multipart", "prometheus_client", "httpx2"):
        if importlib.util.find_spec(package) is None:
            raise TempoError(f"the server needs {package}; install it with: pip install 'tempo-video[serve]'")
    from tempo.serving.http_server import check_binding, serve

    api_key = args.api_key or os.environ.get("TEMPO_API_KEY") or None
    check_binding(args.host, api_key=api_key, open_to_all=args.allow_without_key)
    settings = settings_of(args)
    with _service(args, settings) as make_service:
        serve(make_service, host=args.host, port=args.port, api_key=api_key, log_level=args.log_level)


def settings_of(args: argparse.Namespace) -> ServiceSettings:
    """What the options say; without a name where the model's own is to be used."""
    from tempo.errors import TempoError
    from tempo.serving.fetched_files import FetchPolicy
    from tempo.serving.service import ServiceSettings

    allowed = args.allowed_local_media_path
    if allowed is not None and not allowed.is_dir():
        raise TempoError(f"--allowed-local-media-path {allowed}: no such folder")
    limit = args.max_video_mb * 1_000_000
    return ServiceSettings(
        name=args.served_model_name or "",
        cache=args.cache,
        allowed_local=allowed,
        fetch=FetchPolicy(
            domains=tuple(args.allowed_media_domains),
            allow_private=args.allow_private_addresses,
            limit_bytes=limit,
        ),
        limit_bytes=limit,
        most_videos=args.max_videos,
        memory_bytes=int(args.cache_gb * 1e9),
        disk_bytes=int(args.cache_gb * 1e9),
        most_waiting=args.max_queue,
        timeout=args.request_timeout,
        **given(args, "sampling", "decode_workers"),
    )


@contextlib.contextmanager
def _service(args: argparse.Namespace, settings: ServiceSettings) -> Iterator[Callable[[], AnswerService]]:
    """Load the model, here or in the workers of a cluster, and yield what makes the service."""
    from tempo.console import progress_bar
    from tempo.errors import UsageError

    from .model_loading import load_model

    if args.ray is not None:
        with _workers(args, settings) as service:
            yield lambda: service
        return
    if of_workers := given(args, "min_workers", "max_workers", "cpus_per_worker", "gpus_per_worker"):
        raise UsageError(f"--{next(iter(of_workers)).replace('_', '-')} goes with --ray only; omit it")
    from tempo.serving.service import Service

    with progress_bar("loading"):
        model = load_model(args)
    yield lambda: Service(model, replace(settings, name=settings.name or model.name))


@contextlib.contextmanager
def _workers(args: argparse.Namespace, settings: ServiceSettings) -> Iterator[AnswerService]:
    """Deploy workers on a Ray cluster, and yield the service that they are behind."""
    from tempo.console import progress_bar, say
    from tempo.distributed.ray_cluster import connected
    from tempo.serving.cluster.deployment import served_by

    with contextlib.ExitStack() as stack, progress_bar("loading"):
        ray = stack.enter_context(connected(args.ray, serve=True))
        config, workers = cluster_of(args, settings, ray)
        service = stack.enter_context(served_by(ray, config, workers, say))
        until_closed = stack.pop_all()
    with until_closed:
        yield service


def cluster_of(
    args: argparse.Namespace, settings: ServiceSettings, ray: Any
) -> tuple[ReplicaConfig, WorkerRange]:
    """What the options say of the workers on a cluster.

    Args:
        ray: the package, connected.

    Raises:
        UsageError: less workers at most than at least.
    """
    from tempo.distributed.ray_cluster import WorkerResources, absolute, workers_that_fit
    from tempo.errors import UsageError
    from tempo.serving.cluster.deployment import WorkerRange
    from tempo.serving.cluster.serve_replica import ReplicaConfig

    from .model_loading import MODEL_OPTIONS

    options = given(args, *MODEL_OPTIONS)
    if "base" in options:
        options["base"] = absolute(options["base"])
    if settings.allowed_local is not None:
        settings = replace(settings, allowed_local=settings.allowed_local.absolute())
    resources = WorkerResources(args.cpus_per_worker or 1, args.gpus_per_worker)
    least = args.min_workers or 1
    most = args.max_workers or max(least, workers_that_fit(ray, resources)[0])
    if most < least:
        raise UsageError(f"--max-workers {most} is below --min-workers {least}; raise it")
    model = args.model and absolute(args.model)
    return ReplicaConfig(model, options, settings), WorkerRange(least, most, resources)
