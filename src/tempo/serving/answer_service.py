"""What the API server asks: a model of this process (:mod:`.service`) or of a cluster (:mod:`.cluster`)."""

from __future__ import annotations

from typing import Protocol

from tempo.inference.model_info import ModelInfo

from .messages import Asked
from .prometheus import Metrics
from .protocol import ChatRequest, MomentsRequest
from .request_threads import PendingResponse
from .service import ServiceSettings
from .uploads import Uploads


class AnswerService(Protocol):
    """Answers the requests of clients, and stores their files.

    Attributes:
        info: of the model.
        closing: whether new requests are refused.
    """

    settings: ServiceSettings
    uploads: Uploads
    metrics: Metrics
    closing: bool

    @property
    def info(self) -> ModelInfo: ...

    def answer(self, request: ChatRequest, asked: Asked) -> PendingResponse:
        """Watch if need be, and answer: chunks of the stream, the whole completion last."""

    def moments(self, request: MomentsRequest) -> PendingResponse:
        """Which spans matter for a query, the most relevant first."""

    def abandon(self) -> None:
        """End what runs: whoever waits for it hears that the server shuts down."""

    def close(self) -> None:
        """Refuse what is new, end what runs, and remove what was stored."""
