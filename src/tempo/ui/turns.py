"""A turn of a conversation: a question and its answers under several allocation variants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypedDict

from tempo.inference.results import Answer


@dataclass(frozen=True)
class Variant:
    """A token budget, and whether it is allocated by relevance (adaptive) or evenly (uniform)."""

    budget: int
    adaptive: bool

    @property
    def name(self) -> str:
        """How the page calls the allocation."""
        return "adaptive" if self.adaptive else "uniform"

    @property
    def other(self) -> Variant:
        """The other allocation of the same budget."""
        return Variant(self.budget, not self.adaptive)


class GenerationOptions(TypedDict, total=False):
    """How an answer is generated; see :class:`tempo.inference.session.AskOptions`."""

    max_new_tokens: int
    temperature: float
    top_p: float


@dataclass(frozen=True)
class PartialAnswer:
    """The text so far of an answer that is being generated."""

    variant: Variant
    text: str


@dataclass
class Turn:
    """A question with its answers.

    Attributes:
        earlier: the (question, answer) pairs that came before it.
        variant: whose answer the page shows, and later questions are read with.
        answers: the complete answers so far.
    """

    question: str
    earlier: tuple[tuple[str, str], ...]
    generation: GenerationOptions
    variant: Variant
    answers: dict[Variant, Answer] = field(default_factory=dict)

    @property
    def answer(self) -> Answer | None:
        """The answer that the page shows, or None while it is being generated."""
        return self.answers.get(self.variant)

    @property
    def relevance(self) -> list[float] | None:
        """Relevance of every segment, which does not depend on the variant; None before the first answer."""
        for answer in self.answers.values():
            return [segment.relevance for segment in answer.segments]
        return None
