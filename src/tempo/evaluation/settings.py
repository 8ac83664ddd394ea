"""The settings of an evaluation, which lmms-eval passes to the plugin and the manifest records."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from tempo.errors import UsageError
from tempo.inference.cache_policy import CacheKind
from tempo.inference.keep_strategies import KEEPS, Keep
from tempo.number_checks import (
    FASTEST,
    SLOWEST,
    is_number,
    shown,
)
from tempo.video.sampling_options import (
    DecodeWorkers,
    SamplingMode,
    check_decode_workers,
    check_sampling,
)

BUDGETS = {"4k": 4096, "8k": 8192, "12k": 12288}
CACHES = ("device", "host", "disk")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings that affect the answers. The default sampling is that of the published evaluation.

    Attributes:
        pretrained: checkpoint folder or Hub name; None: the embedded model.
        base: base model of a published checkpoint, if it is not found automatically.
        fps, min_frames, max_frames, sampling: which frames of a video are watched.
        decode_workers: how many decoders work on a video file at once.
        budget: memory tokens for a whole video; None: the model's own.
        adaptive: allocate tokens by relevance rather than evenly.
        keep: which memory tokens of a segment to keep.
        dtype, attention, device: how the model runs.
        group: whether the questions about one video share a session.
        cache: where that session is cached: device, host or disk.
    """

    pretrained: str | None = None
    base: str | None = None
    fps: float = 2.0
    min_frames: int = 8
    max_frames: int = 1024
    sampling: SamplingMode = "exact"
    decode_workers: DecodeWorkers = "auto"
    budget: int | None = None
    adaptive: bool = True
    keep: Keep = "head"
    dtype: str = "auto"
    attention: str = "sdpa"
    device: str = "auto"
    group: bool = True
    cache: CacheKind = "device"

    def __post_init__(self) -> None:
        for name in ("min_frames", "max_frames", "budget"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise UsageError(f"{name} must be a whole number of at least 1, not {value}")
        if not (is_number(self.fps) and SLOWEST <= self.fps <= FASTEST):
            raise UsageError(f"fps must be a number above 0, and at most {FASTEST:g}, not {shown(self.fps)}")
        for name in ("adaptive", "group"):
            if not isinstance(getattr(self, name), bool):
                raise UsageError(f"{name} must be True or False, not {getattr(self, name)!r}")
        for name, choices in (("cache", CACHES), ("keep", KEEPS)):
            if getattr(self, name) not in choices:
                raise UsageError(f"{name}={getattr(self, name)!r}: choose from {', '.join(choices)}")
        check_sampling(self.sampling)
        check_decode_workers(self.decode_workers)
        if self.min_frames > self.max_frames:
            raise UsageError(f"min_frames={self.min_frames} is more than max_frames={self.max_frames}")

    @classmethod
    def from_arguments(cls, arguments: dict[str, Any]) -> Settings:
        """Parse lmms-eval's `--model_args`; a budget may be 4k, 8k or 12k.

        Raises:
            UsageError: an argument does not exist, or a value can never work.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(arguments) - known):
            raise UsageError(f"unknown model argument {unknown[0]!r}; choose from {', '.join(sorted(known))}")
        given = {name: value for name, value in arguments.items() if value is not None}
        if isinstance(given.get("budget"), str):
            given["budget"] = parse_budget(given["budget"])
        return cls(**given)

    def to_arguments(self) -> str:
        """The settings in the form of `--model_args`.

        Raises:
            UsageError: a name has characters that lmms-eval's syntax does not allow.
        """
        parts = []
        for name, value in self.to_json().items():
            if value is None:
                continue
            if isinstance(value, str) and set(value) & set(",'\"{}[]"):
                raise UsageError(
                    f"{name}={value}: lmms-eval does not accept commas, quotes and brackets; rename it"
                )
            parts.append(f"{name}={value}")
        return ",".join(parts)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def parse_budget(text: str) -> int:
    """Parse a budget such as ``8k`` or ``8192``.

    Raises:
        UsageError: it is neither.
    """
    if (known := BUDGETS.get(text.lower())) is not None:
        return known
    if not text.isascii() or not text.isdigit() or len(text) > 18 or int(text) < 1:
        raise UsageError(f"budget={text!r}: choose {', '.join(BUDGETS)} or a whole number of at least 1")
    return int(text)
