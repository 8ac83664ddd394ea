"""How much of a request is read, whatever it says of its length, and for how long."""

from __future__ import annotations

import asyncio
import time

from .asgi import Application, Message, Receive, Send

_PATIENCE = 30.0  # seconds that a body may take at any speed
_SLOWEST = 10_000  # bytes a second after that


class BodyLimit:
    """ASGI middleware that ends a request whose body grows too long or comes too slowly; sent in chunks, it
    tells no length, and whoever sends a byte a second would hold a connection for ever."""

    def __init__(self, app: Application, *, limit_bytes: int, patience: float = _PATIENCE) -> None:
        self.app, self.limit_bytes, self.patience = app, limit_bytes, patience

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass the request on, counting what is read of it."""
        from starlette.exceptions import HTTPException  # FastAPI passes it on while it reads a body

        size, whole, begun = 0, False, time.monotonic()

        async def counted() -> Message:
            nonlocal size, whole
            if whole or scope["type"] != "http":  # from now on it tells when the client leaves
                return await receive()
            left = self.patience + size / _SLOWEST - (time.monotonic() - begun)
            try:
                message = await asyncio.wait_for(receive(), max(left, 0.01))
            except TimeoutError:
                raise HTTPException(408, "the request comes too slowly; send it again") from None
            size += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if size > self.limit_bytes:
                raise HTTPException(413, f"at most {self.limit_bytes / 1e6:.0f} MB are read of a request")
            return message

        await self.app(scope, counted, send)
