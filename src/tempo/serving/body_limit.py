"""How much of a request is read, whatever it says of its length."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class BodyLimit:
    """ASGI middleware that ends a request whose body grows too long; sent in chunks, it tells no length."""

    def __init__(self, app: Callable[..., Awaitable[None]], *, limit_bytes: int) -> None:
        self.app, self.limit_bytes = app, limit_bytes

    async def __call__(self, scope: Message, receive: Receive, send: Callable[..., Awaitable[None]]) -> None:
        """Pass the request on, counting what is read of it."""
        from starlette.exceptions import HTTPException

        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.limit_bytes:
                raise HTTPException(413, f"at most {self.limit_bytes / 1e6:.0f} MB are read of a request")
            return message

        await self.app(scope, counted, send)
