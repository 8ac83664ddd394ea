"""The API server: routes, keys, limits and errors. Everything that computes is in an `AnswerService`.

FastAPI is imported where the routes are declared, and reads their annotations then and there.
"""

import asyncio
import contextlib
import dataclasses
import json
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any

from tempo.version import __version__

from .answer_service import AnswerService
from .api_errors import ApiError, as_api_error
from .body_limit import BodyLimit
from .messages import read
from .protocol import ChatRequest, MomentsRequest
from .request_guard import RequestGuard
from .request_threads import PendingResponse
from .watched_videos import Abandoned

if TYPE_CHECKING:  # an extra: importing this module must not need it
    from fastapi import FastAPI, Request

_CHUNK = 1 << 20
_NO_FIELDS = ("body", "str", "list[Part]", "list[str]")  # in pydantic's names of where an error is
_LONGEST_JSON = 4_000_000  # bytes of a request beside its video


def make_app(service: AnswerService, *, api_key: str | None = None) -> "FastAPI":
    """The application; `api_key` guards everything under /v1."""
    from fastapi import FastAPI

    app = FastAPI(title="Tempo", version=__version__, description=__doc__)
    longest = _longest_body(service)
    app.add_middleware(BodyLimit, limit_bytes=longest)
    app.add_middleware(
        RequestGuard, api_key=api_key, longest_body=longest, limit_bytes=service.settings.limit_bytes
    )
    add_errors(app)
    _add_state(app, service)
    _add_files(app, service)
    _add_answers(app, service)
    return app


def _longest_body(service: AnswerService) -> int:
    """Bytes of a request; base64 takes a third more than the video."""
    return service.settings.limit_bytes * 4 // 3 + _LONGEST_JSON


def add_errors(app: "FastAPI") -> None:
    """Answer every error in the shape of `ApiError`."""
    from fastapi import Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
    from starlette.exceptions import HTTPException

    @app.exception_handler(ApiError)
    async def refused(request: Request, error: ApiError) -> JSONResponse:
        return JSONResponse(error.body, error.status)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        # Of a field that may have several types, what came nearest says most.
        nearest = max(error.errors(), key=lambda one: len(one["loc"]))
        where = ".".join(str(part) for part in nearest["loc"] if part not in _NO_FIELDS) or "body"
        refused = ApiError(400, f"{where}: {nearest['msg'].removeprefix('Value error, ')}", param=where)
        return JSONResponse(refused.body, refused.status)

    @app.exception_handler(HTTPException)
    async def misdirected(request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error.__cause__, OSError):  # the disk, while a form was being read
            told = as_api_error(error.__cause__)
            return JSONResponse(told.body, told.status)
        says = f"{request.method} {request.url.path}: {error.detail}; see /docs"
        return JSONResponse(ApiError(error.status_code, says).body, error.status_code)

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> JSONResponse:
        told = as_api_error(error)
        return JSONResponse(told.body, told.status)


def _add_state(app: "FastAPI", service: AnswerService) -> None:
    from fastapi.responses import Response

    begun = int(time.time())
    info = service.info
    # Its name without the folders: where the server keeps its files is nobody's business.
    told = dataclasses.asdict(info) | {"name": info.name.rstrip("/").rpartition("/")[2]}

    @app.get("/health")
    async def health() -> Response:
        return Response(status_code=503 if service.closing else 200)

    @app.get("/version")
    async def version() -> dict[str, str]:
        return {"version": __version__}

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    def model() -> dict[str, Any]:
        return {
            "id": service.settings.name,
            "object": "model",
            "created": begun,
            "owned_by": "tempo",
            "max_model_len": info.context,
            "tempo": told,
        }

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [model()]}

    @app.get("/v1/models/{name:path}")
    async def one_model(name: str) -> dict[str, Any]:
        _check_model(service, name)
        return model()


def _check_model(service: AnswerService, name: str | None) -> None:
    """Raises ApiError where a client names another model."""
    if name not in (None, service.settings.name):
        says = f"the model {name!r} is not here; use {service.settings.name!r}"
        raise ApiError(404, says, param="model")


def _add_files(app: "FastAPI", service: AnswerService) -> None:
    from fastapi import File, Form, UploadFile

    @app.post("/v1/files")
    async def add(
        file: Annotated[UploadFile, File()], purpose: Annotated[str, Form()] = "user_data"
    ) -> dict[str, Any]:
        async def chunks() -> AsyncIterator[bytes]:
            while chunk := await file.read(_CHUNK):
                yield chunk

        upload = await service.uploads.add(chunks(), name=file.filename or "video", purpose=purpose)
        return upload.body

    @app.get("/v1/files")
    async def files() -> dict[str, Any]:
        return {"object": "list", "data": [one.body for one in service.uploads.all()], "has_more": False}

    @app.get("/v1/files/{identity}")
    async def one(identity: str) -> dict[str, Any]:
        return service.uploads.get(identity).body

    @app.delete("/v1/files/{identity}")
    async def remove(identity: str) -> dict[str, Any]:
        service.uploads.remove(identity)
        return {"id": identity, "object": "file", "deleted": True}


def _add_answers(app: "FastAPI", service: AnswerService) -> None:
    from fastapi import Request
    from fastapi.responses import Response, StreamingResponse

    @app.post("/v1/chat/completions", response_model=None)
    async def chat(request: Request, body: ChatRequest) -> Response | dict[str, Any]:
        _check_model(service, body.model)
        body.check()
        work = service.answer(body, read(body))
        if not body.stream:
            return await _last(request, work, service.settings.timeout)
        timeout = service.settings.timeout
        end = asyncio.get_running_loop().time() + timeout
        first = await _first(request, work, timeout)
        limit = asyncio.get_running_loop().call_at(end, work.gone.set)
        usage = body.stream_options is not None and body.stream_options.include_usage
        events = _events(work, first, timeout, limit, usage=usage)
        return StreamingResponse(events, media_type="text/event-stream")

    @app.post("/v1/moments", response_model=None)
    async def moments(request: Request, body: MomentsRequest) -> dict[str, Any]:
        _check_model(service, body.model)
        return await _last(request, service.moments(body), service.settings.timeout)


async def _watching(request: "Request", work: PendingResponse, timeout: float) -> None:
    """Return when the client is gone or its time is over; either way the work has been told."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            while (await request.receive())["type"] != "http.disconnect":  # its body was read before
                pass
    work.gone.set()


async def _last(request: "Request", work: PendingResponse, timeout: float) -> Any:
    """The last result. Raises ApiError as the work does, or where it takes too long."""
    watching = asyncio.create_task(_watching(request, work, timeout))
    try:
        last = None
        while (result := await work.next()) is not None:
            if isinstance(result, BaseException):
                raise _told(result, timeout)
            last = result
        return last
    finally:
        watching.cancel()
        work.gone.set()  # nobody waits for it any more


async def _first(request: "Request", work: PendingResponse, timeout: float) -> Any:
    """What comes first, so that what is wrong before any text has a status of its own."""
    watching = asyncio.create_task(_watching(request, work, timeout))
    try:
        result = await work.next()
        if isinstance(result, BaseException):
            raise _told(result, timeout)
        return result
    finally:
        watching.cancel()


def _told(error: BaseException, timeout: float) -> ApiError:
    if isinstance(error, Abandoned):
        return ApiError(503, f"the request took more than {timeout:g} s; send fewer frames, or try again")
    return as_api_error(error)


async def _events(
    work: PendingResponse, first: Any, timeout: float, limit: asyncio.TimerHandle, *, usage: bool
) -> AsyncIterator[str]:
    """Server-sent events. Leaving ends the work, and so does LIMIT, unless it is done before."""
    try:
        result = first
        while result is not None:
            if isinstance(result, BaseException):
                yield _event(_told(result, timeout).body)
                break
            is_usage = result["object"] == "chat.completion.chunk" and not result["choices"]
            if result["object"] != "chat.completion" and (usage or not is_usage or "tempo" in result):
                yield _event(result)
            result = await work.next()
        yield "data: [DONE]\n\n"
    finally:
        limit.cancel()
        work.gone.set()


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
