"""Serve a model to OpenAI clients over HTTP.

The server answers POST /v1/chat/completions with a video_url. It watches each video once, caches it, and
answers the next question about it from the cache, whichever client asks.

Examples:
  tempo serve
  tempo serve --model Vision-CAIR/Tempo-6B --device cuda --api-key secret --host 0.0.0.0
  tempo serve --allowed-local-media-path /videos --cache-gb 16
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from .options import add_decoding_options, add_model_options, given, positive_integer, positive_number

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

    from tempo.console import progress_bar
    from tempo.errors import TempoError

    from .model_loading import load_model

    for package in ("fastapi", "uvicorn", "multipart", "prometheus_client", "httpx2"):
        if importlib.util.find_spec(package) is None:
            raise TempoError(f"the server needs {package}; install it with: pip install 'tempo-video[serve]'")
    from tempo.serving.fetched_files import FetchPolicy
    from tempo.serving.http_server import check_binding, serve
    from tempo.serving.service import ServiceSettings

    api_key = args.api_key or os.environ.get("TEMPO_API_KEY") or None
    check_binding(args.host, api_key=api_key, open_to_all=args.allow_without_key)
    allowed = args.allowed_local_media_path
    if allowed is not None and not allowed.is_dir():
        raise TempoError(f"--allowed-local-media-path {allowed}: no such folder")
    with progress_bar("loading"):
        model = load_model(args)
    limit = args.max_video_mb * 1_000_000
    settings = ServiceSettings(
        name=args.served_model_name or model.name,
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
    serve(model, settings, host=args.host, port=args.port, api_key=api_key, log_level=args.log_level)
