"""What can be said of a model without its weights, also where these are on another machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tempo.networks.config import SYNTHETIC, TempoFields

from . import allocation


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """A model's name, what it knows, and its numbers.

    Attributes:
        fps, max_frames: how it samples a video unless told otherwise.
        segment_frames: frames of a segment.
        memory_tokens, min_tokens: the most and the least that a segment keeps.
        budget: memory tokens of a video unless told otherwise.
        context: tokens that the decoder reads and writes together.
        synthetic: whether it knows generated videos only.
    """

    name: str
    fps: float
    max_frames: int
    segment_frames: int
    memory_tokens: int
    min_tokens: int
    budget: int
    context: int
    synthetic: bool

    @classmethod
    def of(cls, name: str, config: TempoFields) -> ModelInfo:
        """What a configuration says."""
        return cls(
            name=name,
            fps=config.fps,
            max_frames=config.max_frames,
            segment_frames=config.segment_frames,
            memory_tokens=config.num_compression_tokens,
            min_tokens=config.min_tokens,
            budget=config.visual_token_budget,
            context=config.context,
            synthetic=config.trained_on == SYNTHETIC,
        )

    def allocate(
        self, relevance: Sequence[float], *, budget: int | None = None, adaptive: bool = True
    ) -> list[int]:
        """How many memory tokens each segment keeps, within this model's limits.

        Args:
            budget: memory tokens of the whole video at most; None: the model's own.
            adaptive: by relevance, or the same number for every segment.
        """
        return allocation.allocate(
            relevance,
            budget=self.budget if budget is None else budget,
            k_min=self.min_tokens,
            k_max=self.memory_tokens,
            by_relevance=adaptive,
        )
