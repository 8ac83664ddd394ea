"""Requests as clients send them: OpenAI's fields, and Tempo's own under `tempo`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .api_errors import ApiError

# Known to OpenAI's clients and not to this server; a request that asks for one is refused.
_NOT_SUPPORTED = ("tools", "functions", "logprobs", "top_logprobs", "logit_bias", "audio", "modalities")


class _Open(BaseModel):
    """Fields that nobody knows are accepted, as other servers do."""

    model_config = ConfigDict(extra="allow")


class MediaUrl(_Open):
    """`video_url` or `image_url`; `fps` and `max_frames` are SGLang's way to give them."""

    url: str
    fps: float | None = None
    max_frames: int | None = None


class FileReference(_Open):
    """A file that was sent to `/v1/files`."""

    file_id: str


class Part(_Open):
    """A part of a message."""

    type: Literal["text", "video_url", "image_url", "file"]
    text: str | None = None
    video_url: MediaUrl | None = None
    image_url: MediaUrl | None = None
    file: FileReference | None = None


class Message(_Open):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part] | None = None


class TempoOptions(BaseModel):
    """What OpenAI has no word for. `segments` adds the allocation to the response."""

    model_config = ConfigDict(extra="forbid")

    fps: float | None = None
    max_frames: int | None = None
    budget: int | None = None
    adaptive: bool = True
    keep: Literal["head", "tail", "random", "merge"] = "head"
    segments: bool = False


class StreamOptions(_Open):
    include_usage: bool = False


class ResponseFormat(_Open):
    type: str = "text"


class ChatRequest(_Open):
    """`POST /v1/chat/completions`."""

    model: str
    messages: list[Message] = Field(min_length=1)
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    n: int = 1
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    mm_processor_kwargs: dict[str, Any] | None = None
    media_io_kwargs: dict[str, dict[str, Any]] | None = None
    tempo: TempoOptions = Field(default_factory=TempoOptions)

    def check(self) -> None:
        """Raises ApiError for what is known and cannot be honoured."""
        if self.n != 1:
            raise ApiError(400, f"n={self.n}: this server returns one answer; omit n", param="n")
        for name in _NOT_SUPPORTED:
            if (self.model_extra or {}).get(name) not in (None, False, [], {}):
                raise ApiError(400, f"{name} is not supported by this server; omit it", param=name)
        if self.seed is not None and self.temperature > 0:
            message = "seed is not supported with a temperature above 0; leave it out, or use temperature 0"
            raise ApiError(400, message, param="seed")
        if self.response_format is not None and self.response_format.type != "text":
            message = f"response_format {self.response_format.type!r} is not supported; leave it out"
            raise ApiError(501, message, param="response_format")

    @property
    def stops(self) -> list[str]:
        """Texts that end an answer."""
        found = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [text for text in found if text]


class MomentsRequest(BaseModel):
    """`POST /v1/moments`: which spans of a video matter for a query."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = None
    video: str = Field(description="an address, a data: URL, file:// or the id of an uploaded file")
    query: str
    count: int = Field(default=5, ge=1, le=1000)
    tempo: TempoOptions = Field(default_factory=TempoOptions)
