"""What can be said beside a question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from tempo.errors import UsageError
from tempo.number_checks import is_number, is_whole, shown
from tempo.video.sampling_options import DecodeWorkers, SamplingMode

from .cache_policy import CacheKind
from .keep_strategies import KEEPS, Keep
from .loaded_model import LoadedModel


class AskOptions(TypedDict, total=False):
    """What can be said beside a question.

    Attributes:
        budget: memory tokens that the decoder reads of the whole video, at most; None: the model's own.
        adaptive: by relevance, or the same number for every segment.
        keep: which of a segment's memory tokens are kept: head, tail, random, or merge.
        max_new_tokens: how long the answer may be, in tokens.
        temperature: 0: the likeliest token each time. Higher: drawn, the more freely the higher.
        top_p: draw only among the likeliest tokens that have this probability together.
        seed: draws are the same each time; None: they come from torch's global generator.
    """

    budget: int | None
    adaptive: bool
    keep: Keep
    max_new_tokens: int
    temperature: float
    top_p: float
    seed: int | None


class WatchOptions(TypedDict, total=False):
    """What can be said beside a video; see :meth:`tempo.Tempo.watch`."""

    fps: float | None
    max_frames: int | None
    start: float | None
    end: float | None
    sampling: SamplingMode
    decode_workers: DecodeWorkers | None
    cache: CacheKind
    several: bool


@dataclass(frozen=True)
class ResolvedOptions:
    """The same with its defaults filled in. Raises UsageError for a value that can never work."""

    budget: int | None = None
    adaptive: bool = True
    keep: Keep = "head"
    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None

    def __post_init__(self) -> None:
        for name in ("budget", "max_new_tokens"):
            value = getattr(self, name)
            if value is None and name == "budget":
                continue
            if not is_whole(value, least=1):
                raise UsageError(f"{name} must be a whole number of at least 1, not {shown(value)}")
        if self.keep not in KEEPS:
            raise UsageError(f"keep={self.keep!r}: choose from {', '.join(KEEPS)}")
        if not (is_number(self.temperature) and self.temperature >= 0):
            raise UsageError(f"temperature must be 0 or more, not {shown(self.temperature)}")
        if not (is_number(self.top_p) and 0 < self.top_p <= 1):
            raise UsageError(f"top_p must be above 0 and at most 1, not {shown(self.top_p)}")
        if self.seed is not None and not is_whole(self.seed, least=0):
            raise UsageError(f"seed must be a whole number of at least 0, not {shown(self.seed)}")

    def budget_of(self, model: LoadedModel) -> int:
        """The budget, or else the model's own."""
        return model.config.visual_token_budget if self.budget is None else self.budget
