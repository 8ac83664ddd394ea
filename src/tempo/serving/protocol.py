"""Requests as clients send them: OpenAI's fields, and Tempo's own under `tempo`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tempo.video.sampling_options import SamplingMode

from .api_errors import ApiError

# Known to OpenAI's clients and not to this server; a request that asks for one is refused.
_NOT_SUPPORTED = (
    "tools",
    "functions",
    "logit_bias",
    "audio",
    "modalities",
    "frequency_penalty",
    "presence_penalty",
    "prediction",
    "web_search_options",
)
# What means the same as leaving it out.
_WITHOUT_EFFECT: tuple[Any, ...] = (None, False, [], {}, 0, ["text"])
# Fields that say who asks or where to keep it, and change no answer.
_IGNORED = {
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "tool_choice",
}
_IGNORED |= {"parallel_tool_calls", *_NOT_SUPPORTED}
_PROCESSOR = {"fps", "max_frames"}  # of mm_processor_kwargs
_LOGPROBS = 20
_DEFAULT_TOKENS = 256

log = logging.getLogger(__name__)


class _Nullable(BaseModel):
    """A field that is null is one that was left out, as OpenAI's clients may send it."""

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if value is not None}


class _Open(_Nullable):
    """Fields that nobody knows are accepted, as other servers do."""

    model_config = ConfigDict(extra="allow")


class MediaUrl(_Open):
    """`video_url` or `image_url`; `fps` and `max_frames` are SGLang's way to give them."""

    url: str
    fps: float | None = None
    max_frames: int | None = None


class FileReference(_Open):
    """A file that was sent to `/v1/files`, or its content as a `data:` URL."""

    file_id: str | None = None
    file_data: str | None = Field(default=None, pattern="^data:")

    @model_validator(mode="after")
    def _one(self) -> FileReference:
        if (self.file_id is None) == (self.file_data is None):
            raise ValueError("a file has a file_id or file_data")
        return self


class Part(_Open):
    """A part of a message."""

    type: Literal["text", "video_url", "image_url", "file"]
    text: str | None = None
    video_url: MediaUrl | None = None
    image_url: MediaUrl | None = None
    file: FileReference | None = None
    uuid: str | None = Field(
        default=None, max_length=200, description="names the video; alone it means the one sent before"
    )


class Message(_Open):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part] | None = None


class TempoOptions(_Nullable):
    """What OpenAI has no word for. `segments` adds the allocation to the response."""

    model_config = ConfigDict(extra="forbid")

    fps: float | None = None
    max_frames: int | None = None
    sampling: SamplingMode | None = Field(
        default=None, description="exact or keyframes; by default what the server was started with"
    )
    budget: int | None = None
    adaptive: bool = True
    keep: Literal["head", "tail", "random", "merge"] = "head"
    start: float | None = Field(default=None, description="seconds; watch only what comes after it")
    end: float | None = Field(default=None, description="seconds; watch only what comes before it")
    segments: bool = False
    progress: bool = Field(default=False, description="stream how many frames are watched, before the text")


class StreamOptions(_Open):
    include_usage: bool = False


class JsonSchema(_Open):
    """The schema that an answer has to follow."""

    name: str = "answer"
    definition: dict[str, Any] = Field(alias="schema")


class ResponseFormat(_Open):
    """What an answer has to look like. `choice` and `regex` are this server's."""

    type: Literal["text", "json_object", "json_schema", "choice", "regex"] = "text"
    json_schema: JsonSchema | None = None
    choices: list[str] | None = Field(default=None, description="of type choice: the answers to choose from")
    pattern: str | None = Field(default=None, description="of type regex")


class VideoLoading(_Open):
    """vLLM's `media_io_kwargs.video`: how frames that the client sampled follow one another."""

    num_frames: int | None = None
    fps: float | None = None
    times: list[float] | None = Field(default=None, description="seconds of each frame that was sent")


class MediaLoading(_Open):
    video: VideoLoading = Field(default_factory=VideoLoading)


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
    mm_processor_kwargs: dict[str, Any] = Field(default_factory=dict)
    media_io_kwargs: MediaLoading = Field(default_factory=MediaLoading)
    logprobs: bool = False
    top_logprobs: int | None = Field(default=None, ge=0, le=_LOGPROBS)
    guided_choice: list[str] | None = Field(default=None, description="vLLM's response_format of choices")
    tempo: TempoOptions = Field(default_factory=TempoOptions)

    def check(self) -> None:
        """Raises ApiError for what is known and cannot be honoured."""
        if self.n != 1:
            raise ApiError(400, f"n={self.n}: this server returns one answer; omit n", param="n")
        extra = self.model_extra or {}
        for name in _NOT_SUPPORTED:
            if extra.get(name) not in _WITHOUT_EFFECT:
                raise ApiError(400, f"{name} is not supported by this server; omit it", param=name)
        if self.top_logprobs is not None and not self.logprobs:
            raise ApiError(400, "top_logprobs needs logprobs: true", param="top_logprobs")
        if self.most_tokens < 1:
            name = "max_tokens" if self.max_completion_tokens is None else "max_completion_tokens"
            raise ApiError(400, f"{name} must be at least 1, not {self.most_tokens}", param=name)
        if unknown := sorted({*(extra.keys() - _IGNORED), *self._unknown_of_media}):
            log.warning("ignored fields that this server does not know: %s", ", ".join(unknown)[:200])
        if self.seed is not None and not -(2**63) <= self.seed < 2**63:
            raise ApiError(400, "seed must be a whole number of 64 bits", param="seed")

    @property
    def _unknown_of_media(self) -> Iterator[str]:
        """Names of options that tell other servers how to read a video, and that this one does not know."""
        yield from (f"mm_processor_kwargs.{name}" for name in self.mm_processor_kwargs.keys() - _PROCESSOR)
        for name in self.media_io_kwargs.model_extra or {}:
            yield f"media_io_kwargs.{name}"
        for name in self.media_io_kwargs.video.model_extra or {}:
            yield f"media_io_kwargs.video.{name}"

    @property
    def most_tokens(self) -> int:
        """How long the answer may be."""
        given = self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens
        return _DEFAULT_TOKENS if given is None else given

    @property
    def noted_logprobs(self) -> int | None:
        """How many of the likeliest tokens to note at each step; None: no probabilities at all."""
        return (self.top_logprobs or 0) if self.logprobs else None

    @property
    def format(self) -> ResponseFormat | None:
        """What the answer has to look like, whichever way it was said; None: anything."""
        if self.guided_choice is not None:
            return ResponseFormat(type="choice", choices=self.guided_choice)
        if self.response_format is None or self.response_format.type == "text":
            return None
        return self.response_format

    @property
    def stops(self) -> list[str]:
        """Texts that end an answer."""
        found = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [text for text in found if text]


class MomentsRequest(_Nullable):
    """`POST /v1/moments`: which spans of a video matter for a query."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = None
    video: str = Field(description="an address, a data: URL, file:// or the id of an uploaded file")
    query: str = Field(max_length=100_000)
    count: int = Field(default=5, ge=1, le=1000)
    tempo: TempoOptions = Field(default_factory=TempoOptions)
