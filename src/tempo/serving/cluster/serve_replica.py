"""A worker: the model and the service of one machine's server, called by the API server through Ray."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any

from tempo.errors import TempoError, describe
from tempo.inference.model_info import ModelInfo
from tempo.serving.api_errors import as_api_error
from tempo.serving.messages import Asked
from tempo.serving.protocol import ChatRequest, MomentsRequest
from tempo.serving.request_threads import PendingResponse
from tempo.serving.service import Service, ServiceSettings
from tempo.serving.watched_videos import Abandoned

from .sent_files import CopiedFiles, SentFile
from .serve_instance import leave_serve

ACCEPTED = {"object": "tempo.accepted"}
"""The first result of every request: a worker has begun with it."""


_PATIENCE = 10.0  # seconds for an answer of the API server


@dataclasses.dataclass(frozen=True)
class ReplicaConfig:
    """What all workers share.

    Attributes:
        model, model_options: as `tempo.load` takes them; paths are absolute.
        settings: whose `name` is empty where the model's own name is to be used.
        reader: the name of the actor with whose end the deployment is deleted; None: it stays.
    """

    model: str | None
    model_options: dict[str, Any]
    settings: ServiceSettings
    reader: str | None = None


class ServeReplica:
    """The class of the deployment: a worker."""

    def __init__(self, config: ReplicaConfig) -> None:
        """Raises TempoError: the model cannot be loaded; the text names the machine."""
        import ray
        from ray import serve

        import tempo

        warnings.simplefilter("ignore")
        self.config, self.host = config, socket.gethostname()
        try:
            model = tempo.load(config.model, **config.model_options)
        except Exception as error:
            raise TempoError(f"worker on {self.host}: {describe(error)}") from None
        name = config.settings.name or model.name
        self.service = Service(model, dataclasses.replace(config.settings, name=name))
        self._application = serve.get_replica_context().app_name
        self._files = CopiedFiles(ray, self.service.uploads)

    async def describe(self) -> tuple[ModelInfo, str]:
        """The model, and its name for clients."""
        return self.service.info, self.service.settings.name

    async def answer(
        self, request: ChatRequest, asked: Asked, *, sent: SentFile | None, key: str
    ) -> AsyncIterator[Any]:
        """Results as `Service.answer` has them, after `ACCEPTED`; an error is one of them.

        The request comes without its messages.
        """
        async for result in self._results(lambda: self.service.answer(request, asked), sent):
            yield result

    async def moments(
        self, request: MomentsRequest, *, sent: SentFile | None, key: str
    ) -> AsyncIterator[Any]:
        """The same of `Service.moments`."""
        async for result in self._results(lambda: self.service.moments(request), sent):
            yield result

    async def _results(
        self, begin: Callable[[], PendingResponse], sent: SentFile | None
    ) -> AsyncIterator[Any]:
        yield ACCEPTED
        work = None
        try:
            if sent is not None:
                await self._files.bring(sent)
            work = begin()
            while (result := await work.next()) is not None:
                if isinstance(result, BaseException):
                    raise result
                yield result
        except (GeneratorExit, asyncio.CancelledError):
            raise
        except Abandoned as error:
            yield error
        except BaseException as error:
            yield as_api_error(error)
        finally:
            if work is not None:
                work.gone.set()

    async def check_health(self) -> None:
        """Called by Ray every few seconds: follow what the API server deleted, and its own end."""
        import ray
        from ray.exceptions import RayError

        reader = self.config.reader
        try:
            gone = await asyncio.wait_for(self._files.forget_deleted(reader), _PATIENCE)
        except (RayError, TimeoutError):  # out of reach for now: no reason to replace this worker
            return
        if reader in gone:
            await asyncio.to_thread(leave_serve, ray, self._application, wait=False)

    def __del__(self) -> None:
        if hasattr(self, "service"):
            self.service.close()
