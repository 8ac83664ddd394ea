"""What the page sends, checked."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from tempo.serving.watched_videos import Part

from .turns import GenerationOptions

MAX_ANSWER_TOKENS, DEFAULT_ANSWER_TOKENS = 4096, 256


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class SamplingRequest(_Strict):
    """How to sample a video; None: the server's own."""

    fps: float | None = Field(default=None, gt=0, le=60)
    max_frames: int | None = Field(default=None, ge=1)


class OpenRequest(SamplingRequest):
    """Which video to open: one of the three."""

    upload: str | None = None
    library: str | None = None
    example: str | None = None


class VariantRequest(_Strict):
    """An allocation. A budget beyond the limits of a video is the nearest that can be.

    `show`: whether the page shows its answer from now on, and later questions are read with it.
    """

    budget: float | None = Field(default=None, gt=0)
    adaptive: bool = True
    show: bool = True


class AskRequest(VariantRequest):
    """A question; `start` and `end` in seconds where it is about a part of the video."""

    question: str = Field(max_length=100_000)
    start: float | None = Field(default=None, ge=0)
    end: float | None = Field(default=None, ge=0)
    max_new_tokens: int = Field(default=DEFAULT_ANSWER_TOKENS, ge=1, le=MAX_ANSWER_TOKENS)
    temperature: float = Field(default=0.0, ge=0, le=10)
    top_p: float = Field(default=1.0, ge=0.01, le=1)

    @property
    def part(self) -> Part:
        """The seconds that are asked about."""
        return self.start, self.end

    @property
    def generation(self) -> GenerationOptions:
        """How the answer is generated."""
        return GenerationOptions(
            max_new_tokens=self.max_new_tokens, temperature=self.temperature, top_p=self.top_p
        )
