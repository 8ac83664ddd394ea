"""The server: the page, the visitors' files, and what both may do."""

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
from .clients import Visits
from .examples import Shelf
from .export import picture, to_json
from .page import HEAD, build, theme

if TYPE_CHECKING:
    from tempo.inference.engine import Tempo

STATIC = Path(__file__).parent / "static"
PORTS = range(7860, 7960)  # tried in turn where none is given
# Nothing is fetched from, or sent to, anywhere but this server. Gradio has scripts and styles in its page.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the operator decides.

    Attributes:
        host, port: where to listen; no port: the first free one from 7860 on.
        allowed: files and folders that every visitor may open.
        upload_bytes: how large an upload may be.
        most_open: visitors who may have a video open at once.
        most_waiting: visitors who may wait for the model.
        share: make a public address through a service of Gradio's.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    allowed: tuple[Path, ...] = ()
    upload_bytes: int = 2_000_000_000
    most_open: int = 8
    most_waiting: int = 16
    cache: CacheKind = "auto"
    fps: float | None = None
    max_frames: int | None = None
    share: bool = False
    browser: bool = False

    def check(self) -> Access:
        """Raises TempoError: an allowed path is not there, or Gradio is not installed."""
        if importlib.util.find_spec("gradio") is None:
            raise TempoError("the page needs Gradio: pip install 'tempo-video[ui]'")
        return Access(self.allowed, upload_bytes=self.upload_bytes)


class Server:
    """A page that is being served, until it is closed.

    Attributes:
        url: where it is.
        public_url: the address that was asked for with `share`.
    """

    def __init__(self, model: Tempo, settings: Settings) -> None:
        """Raises TempoError: as `Settings.check`, or the port is taken."""
        access = settings.check()
        self.folder = Path(tempfile.mkdtemp(prefix="tempo-ui-"))
        _keep_to_itself(self.folder / "uploads")
        self.visits = Visits(
            model,
            self.folder / "visits",
            most_open=settings.most_open,
            most_waiting=settings.most_waiting,
            cache=settings.cache,
        )
        actions = Actions(
            self.visits,
            access,
            Shelf(self.folder / "examples"),
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

    def _launch(self, settings: Settings) -> tuple[str, str | None]:
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
                f"port {wanted} on {settings.host} cannot be had; give another with --port"
            ) from error
        app.router.routes[:0] = _routes(self.visits)
        return url, public

    def wait(self) -> None:
        """Until it is closed, or Ctrl-C."""
        while not self._closed.wait(0.5):
            pass

    def close(self) -> None:
        """Stop all work and remove all files."""
        self._closed.set()
        self.visits.close()
        self._page.close(verbose=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def _keep_to_itself(uploads: Path) -> None:
    """Gradio reads these when a page is built."""
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
    """Adds the policy to every answer, and on a loopback address answers nobody who came by another name:
    a page elsewhere could have its own name point here."""

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
            await send({"type": "http.response.body", "body": b"this server is for this machine alone\n"})
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


def _routes(visits: Visits) -> list[Any]:
    """The page's own files, and those of a visit for who knows its key."""
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import FileResponse, Response
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    private = {"cache-control": "private, max-age=3600"}

    def film_of(request: Request) -> Any:
        visit = visits.with_key(request.path_params["key"])
        if visit is None or visit.film is None:
            raise HTTPException(404)
        return visit, visit.film

    async def video(request: Request) -> Response:
        _, film = film_of(request)
        if film.media_type is None:
            raise HTTPException(415)
        return FileResponse(film.path, media_type=film.media_type, headers=private)

    async def frame(request: Request) -> Response:
        _, film = film_of(request)
        try:
            time = request.path_params["milliseconds"] / 1000
            data = await asyncio.to_thread(film.frames.jpeg, time)
        except (TempoError, OverflowError):  # a number of hundreds of digits
            data = None
        if data is None:
            raise HTTPException(404)
        return Response(data, media_type="image/jpeg", headers=private)

    async def json_file(request: Request) -> Response:
        visit, _ = film_of(request)
        return _saved(lambda: _as_json(to_json(visit)), "json")

    async def png_file(request: Request) -> Response:
        visit, _ = film_of(request)
        return await asyncio.to_thread(_saved, lambda: picture(visit), "png")

    def _as_json(value: Any) -> bytes:
        return whole_text(json.dumps(value, ensure_ascii=False, indent=1)).encode()

    def _saved(make: Callable[[], bytes], ending: str) -> Response:
        try:
            data = make()
        except TempoError as error:
            return Response(f"{error}\n", status_code=409, media_type="text/plain")
        kind = {"json": "application/json", "png": "image/png"}[ending]
        return Response(
            data,
            media_type=kind,
            headers={
                "content-disposition": f'attachment; filename="tempo.{ending}"',
                "cache-control": "no-store",
            },
        )

    own = "/tempo/visits/{key}"
    return [
        Route(f"{own}/video", video),
        Route(f"{own}/frames/{{milliseconds:int}}.jpg", frame),
        Route(f"{own}/tempo.json", json_file),
        Route(f"{own}/tempo.png", png_file),
        Mount("/tempo/static", StaticFiles(directory=STATIC)),
    ]
