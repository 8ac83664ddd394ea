"""Requests that are computed in threads, followed from the event loop, and the files that they use."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .api_errors import ApiError
from .storage_folder import StorageFolder
from .uploads import Uploads


class PendingResponse:
    """A request that is computed in a thread. Its results arrive in the event loop, so that waiting for them
    takes no thread; setting `gone` ends it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._results: asyncio.Queue[dict[str, Any] | BaseException | None] = asyncio.Queue()
        self.gone = threading.Event()

    def put(self, result: dict[str, Any] | BaseException | None) -> None:
        """Add a result, from any thread. None: it was the last."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, and everybody has left
            self._loop.call_soon_threadsafe(self._results.put_nowait, result)

    async def next(self) -> Any:
        """The next result, an error, or None at the end."""
        return await self._results.get()


class RequestThreads:
    """Runs requests, and stores the files that clients send, until it is closed.

    Args:
        most_waiting: requests at once; one more is refused.
        limit_bytes: of one file.
    """

    def __init__(self, *, most_waiting: int, limit_bytes: int) -> None:
        self.folder, self.most_waiting = StorageFolder(), most_waiting
        self.uploads = Uploads(self.folder.path, limit_bytes=limit_bytes)
        self._threads = ThreadPoolExecutor(most_waiting, thread_name_prefix="tempo-request")
        self._pending: set[PendingResponse] = set()
        self.closing = False

    @property
    def open_requests(self) -> int:
        """How many run or wait."""
        return len(self._pending)

    def begin(self, compute: Callable[[PendingResponse], None]) -> PendingResponse:
        """Run COMPUTE in a thread, where it puts its results; errors that it raises are results too.

        Raises:
            ApiError: too many requests wait, or the server is shutting down.
        """
        work = self.admit()

        def run() -> None:
            try:
                compute(work)
            except BaseException as error:
                work.put(error)
            finally:
                self.finish(work)

        self._threads.submit(run)
        return work

    def admit(self) -> PendingResponse:
        """A request that runs from now on, until `finish`.

        Raises:
            ApiError: too many requests wait, or the server is shutting down.
        """
        if self.closing:
            raise ApiError(503, "the server is shutting down; try again later")
        if self.open_requests >= self.most_waiting:
            raise ApiError(429, f"{self.open_requests} requests are waiting already; try again later")
        work = PendingResponse()
        self._pending.add(work)
        return work

    def finish(self, work: PendingResponse) -> None:
        """All results of a request are there."""
        self._pending.discard(work)
        work.put(None)

    def abandon(self) -> None:
        """End what runs: whoever waits for it hears that the server shuts down."""
        self.closing = True
        abandoned, self._pending = self._pending, set()
        for work in abandoned:
            work.put(ApiError(503, "the server is shutting down; try again later"))
            work.put(None)
            work.gone.set()

    def close(self) -> None:
        """Refuse what is new, end what runs, and remove what was stored."""
        self.abandon()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.folder.remove()
