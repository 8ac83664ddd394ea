"""The HTTP side of the page. Everything beneath ``/ui/api`` is JSON; what takes time answers with server-sent
events. A session is one browser page; whoever has its key has its videos.

====================================================  =======================================================
``GET    /ui/api/about``                              the model, the limits, the gallery of examples
``GET    /ui/api/examples/{id}.jpg``                  a picture of an example
``GET    /ui/api/library?words=``                     videos of the library whose names have all of the words
``GET    /ui/api/library/cover?id=``                  a frame of one of them, JPEG
``POST   /ui/api/sessions``                           a new session: ``{"key": …}``
``GET    /ui/api/sessions/{key}``                     its open videos and their conversations, for a page
                                                      that is loaded again
``POST   /ui/api/sessions/{key}/here``                the page is still there
``POST   /ui/api/sessions/{key}/leave``               it is not
``POST   …/{key}/uploads?name=``                      a file as the body: ``{"upload": id}``
``POST   …/{key}/videos``                             open one (`OpenRequest`): ``rendering``, ``opened``,
                                                      ``watching``, ``ready``
``POST   …/{key}/videos/{id}/watch``                  again, with other frames (`SamplingRequest`)
``DELETE …/{key}/videos/{id}``                        close it
``GET    …/{key}/videos/{id}/file``                   the file, for the player; ranges are served
``GET    …/{key}/videos/{id}/frames/{ms}.jpg``        the frame at a time in milliseconds
``POST   …/{key}/videos/{id}/turns``                  ask (`AskRequest`): ``waiting``, ``watching``, ``text``,
                                                      ``answered``
``DELETE …/{key}/videos/{id}/turns``                  begin a new conversation
``POST   …/videos/{id}/turns/{n}/answers``            answer under another allocation (`VariantRequest`)
``POST   …/videos/{id}/turns/{n}/allocation``         only share the tokens out; nothing is answered
``GET    …/videos/{id}/export/{kind}``                the conversation (json), its latest answer (png, srt,
                                                      html)
====================================================  =======================================================

An event is ``event: NAME`` and ``data: JSON``. An error in the middle is the event ``error``; before, it has
its own status and the body ``{"error": {"message", …}}``, as the server for OpenAI clients sends it.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from tempo.errors import TempoError
from tempo.serving.api_errors import ApiError, as_api_error
from tempo.serving.app import add_errors
from tempo.serving.request_threads import PendingResponse
from tempo.text_safety import whole_text

from . import views
from .actions import Actions
from .client_sessions import ClientSession
from .examples import example
from .export import export, saved_as
from .open_video import OpenVideo
from .requests import AskRequest, OpenRequest, SamplingRequest, VariantRequest

if TYPE_CHECKING:  # an extra: importing this module must not need it
    from fastapi import APIRouter, FastAPI
    from fastapi.responses import Response

PREFIX = "/ui/api"
PRIVATE = {"cache-control": "private, max-age=3600"}
_ALIVE = 5.0  # seconds after which a stream says that it is alive
_VIDEO = "/sessions/{key}/videos/{identity}"


def make_app(actions: Actions) -> "FastAPI":
    """The application beneath `PREFIX`."""
    from fastapi import APIRouter, FastAPI

    app = FastAPI(title="Tempo", docs_url=None, redoc_url=None, openapi_url=None)
    router = APIRouter(prefix=PREFIX)
    _add_offers(router, actions)
    _add_sessions(router, actions)
    _add_videos(router, actions)
    _add_files(router, actions)
    _add_answers(router, actions)
    app.include_router(router)
    add_errors(app)
    _add_own_errors(app)
    return app


def _add_own_errors(app: "FastAPI") -> None:
    """What raises before a stream begins is told in the same words as what raises in it."""
    from fastapi import Request
    from fastapi.responses import JSONResponse

    @app.exception_handler(TempoError)
    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        told = _told(error)
        return JSONResponse(told.body, told.status)


def _add_offers(router: "APIRouter", actions: Actions) -> None:
    """What can be opened."""
    from fastapi.responses import Response

    @router.get("/about")
    async def about() -> dict[str, Any]:
        return await asyncio.to_thread(actions.about)

    @router.get("/examples/{identity}.jpg")
    async def picture(identity: str) -> Response:
        found = example(identity)
        return await _jpeg(actions, lambda: found.picture)

    @router.get("/library")
    async def library(words: str = "") -> dict[str, Any]:
        found, total = await asyncio.to_thread(actions.library.search, words)
        return {"videos": [views.library_video(one) for one in found], "total": total}

    @router.get("/library/cover")
    async def cover(id: str) -> Response:
        found = actions.library.get(id)
        return await _jpeg(actions, lambda: actions.library.cover(found))


def _add_sessions(router: "APIRouter", actions: Actions) -> None:
    from fastapi import Request

    @router.post("/sessions")
    async def begin() -> dict[str, str]:
        return {"key": actions.sessions.begin().key}

    @router.get("/sessions/{key}")
    async def resume(key: str) -> dict[str, Any]:
        return await asyncio.to_thread(views.session, actions.sessions.get(key), actions.model)

    @router.post("/sessions/{key}/here")
    async def here(key: str) -> dict[str, bool]:
        actions.sessions.get(key)
        return {"here": True}

    @router.post("/sessions/{key}/leave")
    async def leave(key: str) -> dict[str, bool]:
        actions.sessions.get(key).leave()
        return {"here": False}

    @router.post("/sessions/{key}/uploads")
    async def upload(key: str, name: str, request: Request) -> dict[str, str]:
        session = actions.sessions.get(key)
        name = whole_text(name).replace("\\", "/").rpartition("/")[2]
        actions.check_upload(session, name)
        added = await actions.requests.uploads.add(request.stream(), name=name, purpose="page")
        session.uploads[added.id] = added
        if session.closed:
            actions.sessions.remove_upload(session, added.id)
        return {"upload": added.id}


def _add_videos(router: "APIRouter", actions: Actions) -> None:
    from fastapi.responses import Response

    @router.post("/sessions/{key}/videos", response_model=None)
    async def open_video(key: str, body: OpenRequest) -> Response:
        return _stream(actions.open(actions.sessions.get(key), body), actions.sessions.get(key))

    @router.post(f"{_VIDEO}/watch", response_model=None)
    async def watch_again(key: str, identity: str, body: SamplingRequest) -> Response:
        return _stream(actions.watch_again(_found(actions, key, identity), body), actions.sessions.get(key))

    @router.delete(_VIDEO)
    async def close(key: str, identity: str) -> dict[str, bool]:
        session = actions.sessions.get(key)
        actions.sessions.close_video(session, identity)
        return {"open": False}


def _add_files(router: "APIRouter", actions: Actions) -> None:
    from fastapi.responses import FileResponse, Response

    @router.get(f"{_VIDEO}/file", response_model=None)
    async def file(key: str, identity: str) -> Response:
        opened = _found(actions, key, identity)
        if opened.media_type is None or not opened.source.path.is_file():
            raise ApiError(415, "browsers do not play this kind of file")
        return FileResponse(opened.source.path, media_type=opened.media_type, headers=PRIVATE)

    @router.get(f"{_VIDEO}/frames/{{milliseconds}}.jpg")
    async def frame(key: str, identity: str, milliseconds: int) -> Response:
        opened = _found(actions, key, identity)
        seconds = min(max(milliseconds, 0), round(opened.video.duration * 1000)) / 1000
        return await _jpeg(actions, lambda: opened.frames.jpeg(seconds))

    @router.get(f"{_VIDEO}/export/{{kind}}")
    async def save(key: str, identity: str, kind: str) -> Response:
        opened = _found(actions, key, identity)
        data, media_type = await asyncio.to_thread(export, opened, kind)
        headers = {"content-disposition": saved_as(opened, kind), "cache-control": "no-store"}
        return Response(data, media_type=media_type, headers=headers)


def _add_answers(router: "APIRouter", actions: Actions) -> None:
    from fastapi.responses import Response

    @router.post(f"{_VIDEO}/turns", response_model=None)
    async def ask(key: str, identity: str, body: AskRequest) -> Response:
        return _stream(actions.ask(_found(actions, key, identity), body), actions.sessions.get(key))

    @router.delete(f"{_VIDEO}/turns")
    async def forget(key: str, identity: str) -> dict[str, int]:
        opened = _found(actions, key, identity)
        opened.work.set()
        opened.turns = []
        return {"turns": 0}

    @router.post(f"{_VIDEO}/turns/{{number}}/answers", response_model=None)
    async def compare(key: str, identity: str, number: int, body: VariantRequest) -> Response:
        return _stream(
            actions.compare(_found(actions, key, identity), number, body), actions.sessions.get(key)
        )

    @router.post(f"{_VIDEO}/turns/{{number}}/allocation")
    async def allocation(key: str, identity: str, number: int, body: VariantRequest) -> dict[str, Any]:
        return actions.allocation(_found(actions, key, identity), number, body)


def _found(actions: Actions, key: str, identity: str) -> OpenVideo:
    session: ClientSession = actions.sessions.get(key)
    return session.video(identity)


async def _jpeg(actions: Actions, make: Callable[[], bytes | None]) -> "Response":
    from fastapi.responses import Response

    data = await asyncio.get_running_loop().run_in_executor(actions.pictures, make)
    if data is None:
        raise ApiError(404, "there is no frame")
    return Response(data, media_type="image/jpeg", headers=PRIVATE)


def _stream(work: PendingResponse, session: ClientSession) -> "Response":
    from fastapi.responses import StreamingResponse

    return StreamingResponse(
        _events(work, session), media_type="text/event-stream", headers={"cache-control": "no-store"}
    )


async def _events(work: PendingResponse, session: ClientSession) -> AsyncIterator[str]:
    """Server-sent events. Leaving ends the work; who listens is there."""
    try:
        while True:
            try:
                result = await asyncio.wait_for(work.next(), _ALIVE)
            except TimeoutError:
                if not work.gone.is_set():
                    session.touch()
                yield ": alive\n\n"
                continue
            if result is None:
                return
            if isinstance(result, BaseException):
                yield _event("error", _told(result).body)
                return
            yield _event(result["event"], {name: value for name, value in result.items() if name != "event"})
    finally:
        work.gone.set()


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {whole_text(json.dumps(data, ensure_ascii=False))}\n\n"


def _told(error: BaseException) -> ApiError:
    """What the page says of an error. The details of a bug go to the operator's terminal only."""
    if isinstance(error, ApiError | TempoError):
        return as_api_error(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return ApiError(503, "out of memory; watch fewer frames, under Settings")
    return report_bug(error)


def report_bug(error: BaseException) -> ApiError:
    """Tell the operator's terminal of a bug, and the page that there was one."""
    import os
    import sys
    import traceback

    if os.environ.get("TEMPO_DEBUG", "") not in ("", "0"):
        traceback.print_exception(error)
    else:
        print(f"tempo: bug in the page: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    return ApiError(500, "something went wrong in tempo itself; the server's terminal shows more")
