"""Serving over HTTP with uvicorn, until it is told to end."""

from __future__ import annotations

import contextlib
import ipaddress
import signal
import socket

from tempo.errors import TempoError, UsageError
from tempo.inference.engine import Tempo

from .app import make_app
from .service import Service, ServiceSettings

_SHUTDOWN_SECONDS = 30


def check_binding(host: str, *, api_key: str | None, open_to_all: bool) -> None:
    """Raises UsageError: everybody who reaches the machine could use it, and nobody said that they may."""
    if api_key is None and not open_to_all and not _is_loopback(host):
        raise UsageError(
            f"--host {host} accepts other machines without a key; set --api-key (or TEMPO_API_KEY), "
            "or --allow-without-key if anyone who reaches this machine may use it"
        )


def serve(
    model: Tempo,
    settings: ServiceSettings,
    *,
    host: str,
    port: int,
    api_key: str | None,
    log_level: str = "info",
) -> None:
    """Serve until SIGTERM or Ctrl-C; what runs then is finished first, for a bounded time.

    Raises:
        TempoError: the port is taken.
    """
    import uvicorn

    bound = _bind(host, port)
    service = Service(model, settings)
    try:
        config = uvicorn.Config(
            make_app(service, api_key=api_key),
            log_level=log_level,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
            timeout_keep_alive=30,
            limit_concurrency=None,
        )
        name, at = bound.getsockname()[:2]
        shown = f"[{name}]" if ":" in name else name
        print(f"http://{shown}:{at}/v1  serves {settings.name}  (Ctrl-C ends it)", flush=True)
        # uvicorn raises the signal that ended it once more; being told to end is no failure.
        signal.signal(signal.SIGTERM, lambda *_: None)
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[bound])
    finally:
        service.close()
        bound.close()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise TempoError(
            f"{host}:{port}: cannot listen there ({error.strerror}); choose another --port"
        ) from error
    return bound


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
