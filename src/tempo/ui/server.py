"""Serves the page over HTTP: the static files, the API, and what guards both."""

from __future__ import annotations

import importlib.util
import ipaddress
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tempo.devices import available_bytes
from tempo.errors import TempoError
from tempo.inference.cache_policy import CacheKind
from tempo.serving.listening import bind
from tempo.video.sampling_options import DecodeWorkers, SamplingMode

if TYPE_CHECKING:
    from tempo.inference.engine import Tempo
    from tempo.serving.client import ServerClient
    from tempo.serving.request_threads import RequestThreads

    from .actions import Actions
    from .answering import Answering

STATIC = Path(__file__).parent / "static"
PORTS = range(7860, 7960)  # tried in turn if no port is given
NEEDS = ("fastapi", "uvicorn", "multipart", "prometheus_client", "httpx2")
LONGEST_JSON = 1_000_000  # bytes of a request that is no upload
SWEEP_SECONDS = 2.0
# The page talks to this server only, and runs no script or style that is not a file of its own.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """The operator's configuration of a server.

    Attributes:
        host, port: where to listen; no port: the first free one from 7860.
        library: files and folders that every visitor may open.
        upload_bytes: largest upload.
        max_videos: watched videos that are kept for everybody.
        max_queued: requests that may run or wait.
        cache: where watched videos are cached.
        fps, max_frames: frames watched a second and of a video; None: the model's own.
        sampling: exact or keyframes; None: exact, or as the server that answers does.
        decode_workers: as in :meth:`tempo.Tempo.watch`.
        browser: open the page in this machine's browser.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    library: tuple[Path, ...] = ()
    upload_bytes: int = 2_000_000_000
    max_videos: int = 8
    max_queued: int = 16
    cache: CacheKind = "auto"
    fps: float | None = None
    max_frames: int | None = None
    sampling: SamplingMode | None = None
    decode_workers: DecodeWorkers = "auto"
    browser: bool = False

    def check(self) -> None:
        """Raises TempoError if a path of the library does not exist or the extra is not installed."""
        for package in NEEDS:
            if importlib.util.find_spec(package) is None:
                raise TempoError(f"the page needs {package}; install it with: pip install 'tempo-video[ui]'")
        from .library import Library

        Library(self.library)


class Server:
    """Serves a page from a thread until it is closed.

    Attributes:
        url: the page's address.
    """

    def __init__(self, model: Tempo | ServerClient, settings: ServerConfig) -> None:
        """Serve with a model of this process, or with a `tempo serve` that watches and answers.

        Raises:
            TempoError: as `ServerConfig.check` does; the port is taken, or the server cannot be reached.
        """
        settings.check()
        import uvicorn

        from tempo.serving.request_timeout import patient_for

        from .actions import Actions
        from .library import Library

        self._socket = _bind(settings)
        try:
            self.service, answering = _answering(model, settings)
        except BaseException:
            self._socket.close()
            raise
        self._folder = tempfile.TemporaryDirectory(prefix="tempo-ui-", ignore_cleanup_errors=True)
        self.actions = Actions(
            self.service,
            answering,
            Library(settings.library),
            Path(self._folder.name),
            fps=settings.fps,
            max_frames=settings.max_frames,
        )
        self.url = _url(self._socket, settings.host)
        self._closed = threading.Event()
        config = uvicorn.Config(
            _application(self.actions, settings),
            http=patient_for(),
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=2,
            lifespan="off",
        )
        self._socket.listen()  # whoever is told the address can connect
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._uvicorn.run, kwargs={"sockets": [self._socket]}, name="tempo-ui", daemon=True
        )
        self._thread.start()
        threading.Thread(target=self._sweep, name="tempo-ui-sweep", daemon=True).start()
        if settings.browser:
            webbrowser.open(self.url)

    def _sweep(self) -> None:
        while not self._closed.wait(SWEEP_SECONDS):
            self.actions.sessions.end_idle()

    def wait(self) -> None:
        """Block until the server is closed, or Ctrl-C is pressed."""
        while not self._closed.wait(0.5):
            pass

    def close(self) -> None:
        """Stop all work and delete all files."""
        self._closed.set()
        self._uvicorn.should_exit = True
        self.actions.sessions.close()
        self.actions.pictures.shutdown(wait=False, cancel_futures=True)
        self._thread.join(10)
        self.service.close()
        self._socket.close()
        self._folder.cleanup()


def _answering(model: Tempo | ServerClient, settings: ServerConfig) -> tuple[RequestThreads, Answering]:
    """What runs requests, and what answers them."""
    from tempo.serving.client import ServerClient
    from tempo.serving.request_threads import RequestThreads
    from tempo.serving.service import Service, ServiceSettings

    from .answering import LocalAnswering, RemoteAnswering

    if isinstance(model, ServerClient):
        answering = RemoteAnswering(model, sampling=settings.sampling)
        return RequestThreads(most_waiting=settings.max_queued, limit_bytes=settings.upload_bytes), answering
    service = Service(
        model,
        ServiceSettings(
            name=model.name,
            cache=settings.cache,
            limit_bytes=settings.upload_bytes,
            most_videos=settings.max_videos,
            memory_bytes=available_bytes(model.device) // 2,
            most_waiting=settings.max_queued,
            sampling=settings.sampling or "exact",
            decode_workers=settings.decode_workers,
        ),
    )
    return service, LocalAnswering(service)


def _bind(settings: ServerConfig) -> socket.socket:
    """Listen where the operator says. Raises TempoError where that is taken."""
    for port in (settings.port,) if settings.port else PORTS:
        try:
            return bind(settings.host.strip("[]"), port)
        except OSError as caught:
            error = caught
    wanted = settings.port or f"{PORTS.start} to {PORTS.stop - 1}"
    raise TempoError(
        f"port {wanted} on {settings.host} is not available; choose another with --port"
    ) from error


def _url(bound: socket.socket, host: str) -> str:
    name = host.strip("[]")
    return f"http://{f'[{name}]' if ':' in name else name}:{bound.getsockname()[1]}/"


def _application(actions: Actions, settings: ServerConfig) -> App:
    from starlette.staticfiles import StaticFiles

    from .api import make_app

    app = make_app(actions)
    app.mount("/", _Fresh(StaticFiles(directory=STATIC, html=True)))
    return _Guard(app, loopback=is_loopback(settings.host), upload_bytes=settings.upload_bytes)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach HOST."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class _Fresh:
    """Lets browsers ask whether a static file has changed, so that no page mixes two versions."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        await self._app(scope, receive, _with_headers(send, [(b"cache-control", b"no-cache")]))


class _Guard:
    """Adds security headers to every response, limits what is read of a request, and lets no other site in.

    A server on a loopback address refuses requests for any other host name: a page elsewhere could let its
    own name resolve to this machine. A browser says from which page a request comes; others may not write.
    """

    def __init__(self, app: App, *, loopback: bool, upload_bytes: int) -> None:
        from tempo.serving.body_limit import BodyLimit

        self._small = BodyLimit(app, limit_bytes=LONGEST_JSON)
        self._large = BodyLimit(app, limit_bytes=upload_bytes + LONGEST_JSON)
        self._loopback = loopback

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        origin = headers.get(b"origin", b"").decode("latin-1")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if self._loopback and not is_loopback(name):
            await _refuse(send, 421, b"this server answers requests from this machine only\n")
        elif origin and origin.partition("://")[2] != host:
            await _refuse(send, 403, b"this server answers its own page only\n")
        else:
            app = self._large if scope["path"].endswith("/uploads") else self._small
            await app(scope, receive, _with_headers(send, HEADERS))


def _with_headers(send: Any, headers: list[tuple[bytes, bytes]]) -> Any:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *headers]
        await send(message)

    return sending


async def _refuse(send: Any, status: int, says: bytes) -> None:
    await send(
        {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]}
    )
    await send({"type": "http.response.body", "body": says})
