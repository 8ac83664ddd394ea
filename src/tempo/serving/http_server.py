"""Serving over HTTP with uvicorn, until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from tempo.errors import TempoError, UsageError

from .answer_service import AnswerService
from .app import make_app
from .listening import bind
from .request_timeout import patient_for

_FINISH_SECONDS = 25  # for what runs when the server is told to end
_SHUTDOWN_SECONDS = 30  # after which connections are cut
_LEAVE_SECONDS = 5  # for threads that compute
_BACKLOG = 2048  # connections that wait to be accepted


def check_binding(host: str, *, api_key: str | None, open_to_all: bool) -> None:
    """Raises UsageError: everybody who reaches the machine could use it, and nobody said that they may."""
    if api_key is None and not open_to_all and not _is_loopback(host):
        raise UsageError(
            f"--host {host} accepts other machines without a key; set --api-key (or TEMPO_API_KEY), "
            "or --allow-without-key if anyone who reaches this machine may use it"
        )


def serve(
    make_service: Callable[[], AnswerService],
    *,
    host: str,
    port: int,
    api_key: str | None,
    log_level: str = "info",
) -> None:
    """Serve until SIGTERM or Ctrl-C; what runs then is finished first, for a bounded time.

    Args:
        make_service: is called once the port is ours; the service is closed at the end.

    Raises:
        TempoError: the port is taken.
    """
    import uvicorn

    _allow_many_connections()
    bound = _bind(host, port)
    service = make_service()
    try:
        config = uvicorn.Config(
            make_app(service, api_key=api_key),
            http=patient_for(),
            log_level=log_level,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
            timeout_keep_alive=30,
            limit_concurrency=None,
        )
        name, at = bound.getsockname()[:2]
        shown = f"[{name}]" if ":" in name else name
        bound.listen(_BACKLOG)  # whoever reads that it serves can connect
        print(f"http://{shown}:{at}/v1  serves {service.settings.name}  (Ctrl-C ends it)", flush=True)
        # uvicorn raises the signal that ended it once more; being told to end is no failure.
        signal.signal(signal.SIGTERM, lambda *_: None)
        with contextlib.suppress(KeyboardInterrupt):
            _server(config, service).run(sockets=[bound])
    finally:
        service.close()
        bound.close()
        _leave()


def _server(config: Any, service: AnswerService) -> Any:
    """uvicorn's server, which ends what still runs a little before it would cut the connections."""
    import uvicorn

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            service.closing = True
            # asyncio waits for its threads for minutes, and whoever reads the output may be gone.
            last = threading.Timer(_SHUTDOWN_SECONDS + _LEAVE_SECONDS, os._exit, (0,))
            last.daemon = True
            last.start()
            asyncio.get_running_loop().call_later(_FINISH_SECONDS, service.abandon)
            await super().shutdown(sockets)

    return Server(config)


def _leave() -> None:
    """End the process although a thread still computes: none of them has anything left to lose."""
    end = time.monotonic() + _LEAVE_SECONDS
    while time.monotonic() < end:
        if not any(thread.name.startswith("tempo-") for thread in threading.enumerate()):
            return
        time.sleep(0.05)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(0)


def _allow_many_connections() -> None:
    """Let as many connections be open as the system lets this process have."""
    try:
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (ImportError, ValueError, OSError):  # Windows, or not allowed
        return


def _bind(host: str, port: int) -> socket.socket:
    try:
        return bind(host, port)
    except OSError as error:
        raise TempoError(
            f"{host}:{port}: cannot listen there ({error.strerror}); choose another --port"
        ) from error


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
