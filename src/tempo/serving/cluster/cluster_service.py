"""The API server's view of the workers: requests go out, results come back, and what dies is tried again."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Any

from tempo.errors import describe
from tempo.inference.model_info import ModelInfo
from tempo.serving.api_errors import ApiError
from tempo.serving.messages import Asked
from tempo.serving.prometheus import LiveGauge, Metrics
from tempo.serving.protocol import ChatRequest, MomentsRequest
from tempo.serving.request_threads import PendingResponse, RequestThreads
from tempo.serving.service import ServiceSettings, addressed
from tempo.serving.uploads import Upload
from tempo.serving.watched_videos import Abandoned
from tempo.storage import hashing

from .sent_files import SentFile
from .serve_replica import ACCEPTED

log = logging.getLogger(__name__)

_ATTEMPTS = 2  # at a request, before it fails because its worker died
_NAMES = 10_000  # that clients gave to videos, and that are remembered
_LOOK = 0.2  # seconds between looks whether a client is still there, and between tries to find a worker


class ClusterService(RequestThreads):
    """Has requests answered by the workers of a deployment.

    Args:
        handle: of the deployment.
        info: of the model that the workers have.
        settings: `most_waiting` is for all workers together.
        reader: the name of the actor that reads this process's files for workers.
    """

    def __init__(self, handle: Any, info: ModelInfo, settings: ServiceSettings, *, reader: str) -> None:
        super().__init__(most_waiting=settings.most_waiting, limit_bytes=settings.limit_bytes)
        self.handle, self.info, self.settings = handle, info, settings
        self.metrics = Metrics(
            [LiveGauge("tempo_requests_running", "Requests being answered", lambda: self.open_requests)],
            lambda: {"uploaded": self.uploads.bytes_received},
        )
        self._reader = reader
        self._tasks: set[asyncio.Task[None]] = set()
        self._media_of: OrderedDict[str, tuple[str, ...]] = OrderedDict()  # by the names that clients gave

    def answer(self, request: ChatRequest, asked: Asked) -> PendingResponse:
        """Watch if need be, and answer: chunks of the stream, the whole completion last."""
        asked = self._named(asked)
        upload, key = self._upload(asked.media), asked.uuid
        begun = time.perf_counter()
        first: list[float] = []

        def note(result: dict[str, Any]) -> None:
            if _is_text(result) and not first:
                first.append(time.perf_counter() - begun)
            if result["object"] == "chat.completion":
                usage, details = result["usage"], result["usage"]["prompt_tokens_details"]
                known = details["cached_tokens"] > 0
                self.metrics.first_token(first[0], cached=known)
                self.metrics.answered(
                    usage["prompt_tokens"], details["video_tokens"], usage["completion_tokens"], known=known
                )

        bare = request.model_copy(update={"messages": []})  # they are in `asked`, and may hold a whole video
        return self._begin(
            "answer", (bare, asked), asked.media, upload, name=key, streamed=request.stream, note=note
        )

    def moments(self, request: MomentsRequest) -> PendingResponse:
        """Which spans matter for a query, the most relevant first."""
        media = (addressed(request.video),)
        return self._begin("moments", (request,), media, self._upload(media))

    def _named(self, asked: Asked) -> Asked:
        """With the video that a client named before: the worker that knew the name may be gone."""
        if asked.uuid is None:
            return asked
        if not asked.media:
            return dataclasses.replace(asked, media=self._media_of.get(asked.uuid, ()))
        if not any(one.startswith("data:") for one in asked.media):
            self._media_of[asked.uuid] = asked.media
            self._media_of.move_to_end(asked.uuid)
            if len(self._media_of) > _NAMES:
                self._media_of.popitem(last=False)
        return asked

    def _upload(self, media: tuple[str, ...]) -> Upload | None:
        """The file that a request names. Raises ApiError where there is none."""
        first = media[0] if len(media) == 1 else ""
        return self.uploads.get(first.removeprefix("file-id:")) if first.startswith("file-id:") else None

    def _begin(
        self,
        method: str,
        arguments: tuple[Any, ...],
        media: tuple[str, ...],
        upload: Upload | None,
        *,
        name: str | None = None,
        streamed: bool = False,
        note: Callable[[dict[str, Any]], None] = lambda result: None,
    ) -> PendingResponse:
        """Call METHOD of the worker that keeps the video; its results are those of the returned request.

        Args:
            name: of the video, by which its client asks again; None: the content or address tells.
            streamed: whether results reach the client as they come, so that no other worker can begin anew.
            note: is called with each result.
        """
        work = self.admit()

        async def run() -> None:
            try:
                key = name or await asyncio.to_thread(_key, media, upload)
                sent = upload and SentFile(upload, self._reader)
                await self._follow(work, method, arguments, {"sent": sent, "key": key}, streamed, note)
            except BaseException as error:
                work.put(error)
            finally:
                self.finish(work)

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return work

    async def _follow(
        self,
        work: PendingResponse,
        method: str,
        arguments: tuple[Any, ...],
        named: dict[str, Any],
        streamed: bool,
        note: Callable[[dict[str, Any]], None],
    ) -> None:
        """Put the results of a worker into WORK; where it dies, those of another one.

        Raises:
            Abandoned: the client is gone, or its time is over.
            ApiError: the request cannot be answered.
        """
        from ray.exceptions import (
            NodeDiedError,
            ObjectLostError,
            RayActorError,
            RayError,
            RayTaskError,
            WorkerCrashedError,
        )
        from ray.serve.exceptions import RayServeException

        deaths = 0
        while True:
            if work.gone.is_set():
                raise Abandoned
            accepted = written = False
            stream = self.handle.options(stream=True, method_name=method).remote(*arguments, **named)
            try:
                async for result in _while_wanted(stream, work):
                    if isinstance(result, BaseException):
                        raise result
                    if result == ACCEPTED:
                        accepted = True
                        continue
                    note(result)
                    written = written or (streamed and _is_text(result))
                    work.put(result)
                return
            except RayTaskError as error:  # a fault of ours
                raise ApiError(500, describe(error.cause or error)) from error
            except RayServeException as error:
                raise ApiError(503, "the workers cannot be reached; try again later") from error
            except (RayActorError, NodeDiedError, WorkerCrashedError, ObjectLostError) as error:
                log.warning("a worker died or went away; its requests are sent to another")
                deaths += accepted
                if written:
                    says = "the worker that wrote this answer died, and it is incomplete; ask again"
                    raise ApiError(503, says) from error
                if deaths >= _ATTEMPTS:
                    says = "the workers that began with this request died, often due to lack of memory"
                    raise ApiError(503, f"{says}; send fewer frames, or try again later") from error
            except RayError as error:
                raise ApiError(503, f"the cluster cannot pass the request on: {describe(error)}") from error
            await asyncio.sleep(_LOOK)  # Ray needs a moment to see it


async def _while_wanted(stream: Any, work: PendingResponse) -> AsyncIterator[Any]:
    """What comes from a worker. Raises Abandoned once nobody waits for it; the worker is told."""
    from ray.exceptions import TaskCancelledError

    try:
        while True:
            coming = asyncio.ensure_future(anext(stream))
            coming.add_done_callback(lambda done: done.cancelled() or done.exception())  # if nobody waits
            while not (await asyncio.wait({coming}, timeout=_LOOK))[0]:
                if work.gone.is_set():
                    raise Abandoned
            try:
                result = coming.result()
            except StopAsyncIteration:
                return
            except (asyncio.CancelledError, TaskCancelledError) as error:
                # Behind its own proxies Ray cancels what a request has begun once its client is gone.
                log.info("a client left before its answer was complete")
                raise Abandoned from error
            yield result
    finally:
        stream.cancel()


def _is_text(result: dict[str, Any]) -> bool:
    return result["object"] == "chat.completion.chunk"


def _key(media: tuple[str, ...], upload: Upload | None) -> str:
    """What tells a video from others: the content, or the address where that is elsewhere."""
    if upload is not None:
        try:
            return hashing.of_file(str(upload.path))
        except OSError:
            says = f"the file {upload.id!r} was deleted; upload it again"
            raise ApiError(404, says, param="file_id") from None
    digest = hashlib.sha256()
    for one in media:
        digest.update(one.encode())
    return digest.hexdigest()
