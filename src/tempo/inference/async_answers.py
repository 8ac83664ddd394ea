"""Watching and asking from an event loop: the work runs in threads, and ends when its task is cancelled.

One model computes one thing at a time. Long work gives way to others between two steps, a batch of segments
or a token, and sees there whether it is still wanted.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from .compute_turn import ComputeTurn
from .loaded_model import LoadedModel
from .pipeline import Step
from .results import Answer, AnswerStream

T = TypeVar("T")

MOST_THREADS = 64  # pieces of work that wait for their turn; those beyond wait for a thread
_THREADS = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="tempo-async")
_TURNS: weakref.WeakKeyDictionary[LoadedModel, ComputeTurn] = weakref.WeakKeyDictionary()
_TURNS_GUARD = threading.Lock()


async def run(engine: LoadedModel, do: Callable[[Step], T]) -> T:
    """DO something in a thread and return what it returns. Where the task is cancelled, the work ends."""
    work = _Work(engine)
    future = work.begin(do)
    try:
        await _over(future)
    finally:
        await work.end(future)
    return future.result()


class AsyncAnswerStream(AsyncIterator[str]):
    """The pieces of an answer as they are written; ``await stream.answer()`` is the whole.

    Writing begins when the first piece is asked for. It ends early where the task that reads is cancelled,
    and where the stream is closed or dropped.
    """

    def __init__(self, engine: LoadedModel, write: Callable[[Step], AnswerStream]) -> None:
        self._whole: list[Answer] = []
        self._pieces = _read(engine, write, self._whole)

    async def __anext__(self) -> str:
        return await anext(self._pieces)

    async def answer(self) -> Answer:
        """The whole answer; what is not written yet is waited for."""
        async for _ in self:
            pass
        if not self._whole:
            raise RuntimeError("the answer was interrupted before its end")
        return self._whole[0]

    async def aclose(self) -> None:
        """Stop writing."""
        await self._pieces.aclose()


# Not a method: a stream that its own generator holds would not end when it is dropped.
async def _read(
    engine: LoadedModel, write: Callable[[Step], AnswerStream], whole: list[Answer]
) -> AsyncGenerator[str, None]:
    """Yield the pieces of an answer, which is added to WHOLE at the end."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[str | None] = asyncio.Queue()

    def put(piece: str | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody reads any more
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

    def do(step: Step) -> Answer:
        try:
            stream = write(step)
            for piece in stream:
                put(piece)
            return stream.answer
        finally:
            put(None)

    work = _Work(engine)
    future = work.begin(do)
    try:
        while (piece := await pieces.get()) is not None:
            yield piece
    finally:
        await work.end(future)
    whole.append(future.result())


async def _over(future: Future[T]) -> None:
    """Wait until a thread is done. What it raises is for those who want its result."""
    done = asyncio.wrap_future(future)
    done.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait([done])


class _Unwanted(Exception):
    """Nobody waits for the work any more."""


class _Work:
    """Something that a thread does for a task."""

    def __init__(self, engine: LoadedModel) -> None:
        self._left = threading.Event()
        self._done = False
        with _TURNS_GUARD:
            self._turn = _TURNS.setdefault(engine, ComputeTurn())

    def begin(self, do: Callable[[Step], T]) -> Future[T]:
        """Have a thread do it, once it is its turn."""

        def run() -> T:
            with self._turn.take():
                self._step()
                result = do(self._step)
                self._done = True
                return result

        return _THREADS.submit(run)

    async def end(self, future: Future[T]) -> None:
        """Return once the thread has left it, which is at its next step where it is not done."""
        self._left.set()
        if not future.cancel():
            await _over(future)

    def _step(self) -> None:
        if self._done:  # a session that keeps nothing keeps the step of its watching
            return
        self._turn.give_way()
        if self._left.is_set():
            raise _Unwanted
