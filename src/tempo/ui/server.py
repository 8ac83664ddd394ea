"""Serve the page and the files of its sessions over HTTP, with a strict content security policy."""

from __future__ import annotations

import asyncio
import importlib.util
import ipaddress
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tempo.errors import TempoError
from tempo.inference.cache_policy import CacheKind
from tempo.text_safety import whole_text

from .access import Access
from .callbacks import Actions
from .client import ClientSession
from .clients import ClientSessions
from .examples import ExampleVideos
from .export import picture, to_json
from .page import HEAD, build, theme
from .player import OpenVideo

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from tempo.inference.engine import Tempo

STATIC = Path(__file__).parent / "static"
PORTS = range(7860, 7960)  # Gradio tries them in turn if no port is given
PRIVATE = {"cache-control": "private, max-age=3600"}
# The page may talk to this server only. Gradio has inline scripts and styles in its page.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """The operator's configuration of a server.

    Attributes:
        host, port: where to listen; no port: the first free one from 7860.
        allowed: files and folders that every page may open.
        upload_bytes: largest upload.
        max_open: sessions with an open video.
        max_queued: requests that may wait for the model.
        cache: where watched videos are cached.
        fps, max_frames: frames watched a second and of a video; None: the model's own.
        share: create a public URL through a service of Gradio's.
        browser: open the page in this machine's browser.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    allowed: tuple[Path, ...] = ()
    upload_bytes: int = 2_000_000_000
    max_open: int = 8
    max_queued: int = 16
    cache: CacheKind = "auto"
    fps: float | None = None
    max_frames: int | None = None
    share: bool = False
    browser: bool = False

    def check(self) -> Access:
        """Raises TempoError if an allowed path does not exist or Gradio is not installed."""
        if importlib.util.find_spec("gradio") is None:
            raise TempoError("the page needs Gradio; install it with: pip install 'tempo-video[ui]'")
        return Access(self.allowed, upload_bytes=self.upload_bytes)


class Server:
    """Serves a page until it is closed.

    Attributes:
        url: the page's URL.
        public_url: the URL that `share` created, or None.
    """

    def __init__(self, model: Tempo, settings: ServerConfig) -> None:
        """Raises TempoError as `ServerConfig.check` does, or if the port is taken."""
        access = settings.check()
        self.folder = Path(tempfile.mkdtemp(prefix="tempo-ui-"))
        _configure_gradio(self.folder / "uploads")
        self.clients = ClientSessions(
            model,
            self.folder / "clients",
            max_open=settings.max_open,
            max_queued=settings.max_queued,
            cache=settings.cache,
        )
        actions = Actions(
            self.clients,
            access,
            ExampleVideos(self.folder / "examples"),
            max_frames=settings.max_frames,
            fps=settings.fps,
        )
        self._page = build(actions)
        self._closed = threading.Event()
        try:
            self.url, self.public_url = self._launch(settings)
        except BaseException:
            self.close()
            raise

    def _launch(self, settings: ServerConfig) -> tuple[str, str | None]:
        from starlette.middleware import Middleware

        loopback = _is_loopback(settings.host) and not settings.share
        try:
            app, url, public = self._page.launch(
                server_name=settings.host,
                server_port=settings.port,
                share=settings.share,
                inbrowser=settings.browser,
                prevent_thread_lock=True,
                quiet=True,
                footer_links=[],
                run_history=False,
                max_file_size=settings.upload_bytes,
                ssr_mode=False,
                pwa=False,
                mcp_server=False,
                enable_monitoring=False,
                show_error=True,
                strict_cors=True,
                theme=theme(),
                head=HEAD,
                app_kwargs={"middleware": [Middleware(_Guard, loopback=loopback)]},
            )
        except OSError as error:
            wanted = settings.port or f"{PORTS.start} to {PORTS.stop - 1}"
            raise TempoError(
                f"port {wanted} on {settings.host} is not available; choose another with --port"
            ) from error
        app.router.routes[:0] = _routes(self.clients)
        return url, public

    def wait(self) -> None:
        """Block until the server is closed, or Ctrl-C is pressed."""
        while not self._closed.wait(0.5):
            pass

    def close(self) -> None:
        """Stop all work and delete all files."""
        self._closed.set()
        self.clients.close()
        self._page.close(verbose=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def _configure_gradio(uploads: Path) -> None:
    """Keep uploads in our own folder and telemetry off; Gradio reads these variables when a page is built."""
    uploads.mkdir()
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class _Guard:
    """Adds security headers to every response, and protects a loopback server against DNS rebinding.

    A server on a loopback address refuses requests for any other host name: a page elsewhere could let its
    own name resolve to this machine.
    """

    def __init__(self, app: App, *, loopback: bool) -> None:
        self._app = app
        self._loopback = loopback

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
        if self._loopback and not _is_loopback(host.rsplit(":", 1)[0] if not host.endswith("]") else host):
            await send({"type": "http.response.start", "status": 421, "headers": []})
            await send(
                {
                    "type": "http.response.body",
                    "body": b"this server answers requests from this machine only\n",
                }
            )
            return

        async def with_policy(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    (b"content-security-policy", POLICY.encode()),
                    (b"referrer-policy", b"no-referrer"),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        await self._app(scope, receive, with_policy)


def _routes(clients: ClientSessions) -> list[Any]:
    """The page's static files, and the files of each session for whoever knows its key."""
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    files = _SessionFiles(clients)
    own = "/tempo/clients/{key}"
    return [
        Route(f"{own}/video", files.video),
        Route(f"{own}/frames/{{milliseconds:int}}.jpg", files.frame),
        Route(f"{own}/tempo.json", files.json),
        Route(f"{own}/tempo.png", files.png),
        Mount("/tempo/static", StaticFiles(directory=STATIC)),
    ]


class _SessionFiles:
    """The endpoints for the files of a session: its video, single frames, and the exports."""

    def __init__(self, clients: ClientSessions) -> None:
        self._clients = clients

    async def video(self, request: Request) -> Response:
        from starlette.exceptions import HTTPException
        from starlette.responses import FileResponse

        _, opened = self._find(request)
        if opened.media_type is None:
            raise HTTPException(415)
        return FileResponse(opened.path, media_type=opened.media_type, headers=PRIVATE)

    async def frame(self, request: Request) -> Response:
        from starlette.exceptions import HTTPException
        from starlette.responses import Response

        _, opened = self._find(request)
        try:
            time = request.path_params["milliseconds"] / 1000
            data = await asyncio.to_thread(opened.frames.jpeg, time)
        except (TempoError, OverflowError):  # a number of hundreds of digits
            data = None
        if data is None:
            raise HTTPException(404)
        return Response(data, media_type="image/jpeg", headers=PRIVATE)

    async def json(self, request: Request) -> Response:
        client, _ = self._find(request)
        return _download(lambda: _json_bytes(to_json(client)), "application/json", "tempo.json")

    async def png(self, request: Request) -> Response:
        client, _ = self._find(request)
        return await asyncio.to_thread(_download, lambda: picture(client), "image/png", "tempo.png")

    def _find(self, request: Request) -> tuple[ClientSession, OpenVideo]:
        """The session whose key is in the URL, and its open video; status 404 if there is none."""
        from starlette.exceptions import HTTPException

        client = self._clients.by_key(request.path_params["key"])
        if client is None or client.open_video is None:
            raise HTTPException(404)
        return client, client.open_video


def _json_bytes(value: Any) -> bytes:
    return whole_text(json.dumps(value, ensure_ascii=False, indent=1)).encode()


def _download(make: Callable[[], bytes], media_type: str, name: str) -> Response:
    """What MAKE returns as a file to save; status 409 if there is nothing to save yet."""
    from starlette.responses import Response

    try:
        data = make()
    except TempoError as error:
        return Response(f"{error}\n", status_code=409, media_type="text/plain")
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Response(data, media_type=media_type, headers=headers)
