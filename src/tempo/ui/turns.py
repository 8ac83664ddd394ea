"""A turn of a conversation: a question and its answers under several allocations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypedDict

from tempo.inference.results import Answer, AnswerSegment
from tempo.serving.watched_videos import Part


@dataclass(frozen=True)
class Variant:
    """A token budget, and whether it is allocated by relevance (adaptive) or evenly (uniform)."""

    budget: int
    adaptive: bool

    @property
    def other(self) -> Variant:
        """The other allocation of the same budget."""
        return Variant(self.budget, not self.adaptive)


class GenerationOptions(TypedDict, total=False):
    """How an answer is generated; see :class:`tempo.inference.options.AskOptions`."""

    max_new_tokens: int
    temperature: float
    top_p: float


@dataclass
class Turn:
    """A question with its answers.

    Attributes:
        earlier: the (question, answer) pairs that came before it.
        part: the seconds of the video that it is about; (None, None): all of it.
        variant: whose answer the page shows, and later questions are read with.
        answers: the complete answers so far.
    """

    question: str
    earlier: tuple[tuple[str, str], ...]
    generation: GenerationOptions
    part: Part
    variant: Variant
    answers: dict[Variant, Answer] = field(default_factory=dict)

    @property
    def answer(self) -> Answer:
        """The answer that the page shows."""
        return self.answers[self.variant]

    @property
    def segments(self) -> list[AnswerSegment]:
        """The segments with their relevance, which does not depend on the variant."""
        return next(iter(self.answers.values())).segments
