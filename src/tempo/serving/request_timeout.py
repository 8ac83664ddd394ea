"""How long a connection may stay open without a whole request: uvicorn waits for ever."""

from __future__ import annotations

import asyncio
from typing import Any

_PATIENCE = 30.0  # seconds for the head of a request


def patient_for(seconds: float = _PATIENCE) -> Any:
    """uvicorn's protocol class, for `uvicorn.Config(http=…)`, that hangs up where the head of a request does
    not come in so many seconds. How long its body may take is the business of :mod:`.body_limit`."""
    # Not whichever is installed: httptools, which other packages bring, takes a head of any length.
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Protocol(H11Protocol):
        _waiting: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                self._stop_waiting()
            else:
                self._wait()

        def connection_lost(self, error: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(error)

        def _wait(self) -> None:
            if self._waiting is None:
                self._waiting = self.loop.call_later(seconds, self.transport.close)

        def _stop_waiting(self) -> None:
            if self._waiting is not None:
                self._waiting.cancel()
                self._waiting = None

    return Protocol
