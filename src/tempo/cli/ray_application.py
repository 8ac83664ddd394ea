"""What Ray Serve imports where it runs a server by itself: see docs/deploy/ray-serve.yaml."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Mapping
from typing import Any, NoReturn


def build(arguments: Mapping[str, str]) -> Any:
    """The application of Ray Serve.

    Args:
        arguments: `options`, those of `tempo serve`, as one writes them behind it; the key is in the
            environment, as TEMPO_API_KEY.

    Raises:
        UsageError: an option is wrong, or belongs to what Ray does itself.
    """
    import ray

    from tempo.distributed.ray_cluster import workers_that_fit
    from tempo.serving.cluster.ingress import application_with_http
    from tempo.serving.http_server import check_binding

    from .serve import cluster_of, settings_of

    args = parse(arguments["options"])
    key = os.environ.get("TEMPO_API_KEY") or None
    check_binding("0.0.0.0", api_key=key, open_to_all=args.allow_without_key)
    config, workers = cluster_of(args, settings_of(args), ray)
    needed = workers_that_fit(ray, workers.resources)[1]
    return application_with_http(config, workers, needed, key_needed=not args.allow_without_key)


def parse(options: str) -> argparse.Namespace:
    """The options of `tempo serve` in a text.

    Raises:
        UsageError: one is wrong, or belongs to what Ray does itself.
    """
    from tempo.errors import UsageError

    from .serve import add_arguments

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise UsageError(f"options of the application: {message}")

    parser = Parser(add_help=False)
    add_arguments(parser)
    args = parser.parse_args(shlex.split(options))
    for name in ("host", "port", "ray", "api_key"):
        if getattr(args, name) != parser.get_default(name):
            says = "the key is TEMPO_API_KEY in the environment" if name == "api_key" else "Ray has its own"
            raise UsageError(f"--{name.replace('_', '-')} is no option of the application: {says}; omit it")
    return args
