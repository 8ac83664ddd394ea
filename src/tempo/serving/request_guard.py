"""What a request has to bring before it is read: the API key, and a length that is not beyond the limit."""

from __future__ import annotations

import hmac
import secrets
from typing import Any

from .api_errors import ApiError
from .asgi import Application, Message, Receive, Send
from .uploads import too_large


class RequestGuard:
    """ASGI middleware that refuses requests by their heads, and names each in a header of its answer.

    Args:
        api_key: guards everything under /v1; None: nothing is guarded.
        longest_body: bytes that a request may have.
        limit_bytes: of one file, which is what an error tells.
    """

    def __init__(self, app: Application, *, api_key: str | None, longest_body: int, limit_bytes: int) -> None:
        self.app, self.api_key = app, api_key
        self.longest_body, self.limit_bytes = longest_body, limit_bytes

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer that it is refused."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        from starlette.datastructures import Headers, MutableHeaders
        from starlette.responses import JSONResponse

        headers = Headers(scope=scope)
        identity = (headers.get("x-request-id") or secrets.token_hex(8))[:200]

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-Id"] = identity
            await send(message)

        app: Any = self.app
        try:
            self._check_key(scope, headers.get("authorization", ""))
            self._check_length(headers.get("content-length", ""))
        except ApiError as error:
            app = JSONResponse(error.body, error.status)
        await app(scope, receive, named)

    def _check_key(self, scope: Message, authorization: str) -> None:
        path = scope["path"]
        below = path.removeprefix(scope.get("root_path", "").rstrip("/"))  # some proxies leave theirs in it
        guarded = path.startswith("/v1") or below.startswith("/v1")
        if self.api_key is None or scope["method"] == "OPTIONS" or not guarded:
            return
        scheme, _, given = authorization.partition(" ")
        right = hmac.compare_digest(given.strip().encode(), self.api_key.encode())
        if scheme.lower() != "bearer" or not right:
            raise ApiError(401, "the API key is wrong or missing; send it as 'Authorization: Bearer KEY'")

    def _check_length(self, told: str) -> None:
        """Refuse a body that says that it is too long, before it is read."""
        if told.isdigit() and int(told) > self.longest_body:
            raise too_large(self.limit_bytes)
