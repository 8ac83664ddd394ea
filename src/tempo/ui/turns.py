"""A question of a conversation on the page, with its answers under several settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypedDict

from tempo.inference.results import Answer


@dataclass(frozen=True)
class Setting:
    """How many tokens an answer may rest on, and whether they go where the relevance is."""

    budget: int
    adaptive: bool

    @property
    def other(self) -> Setting:
        return Setting(self.budget, not self.adaptive)


class Writing(TypedDict, total=False):
    """How an answer is written; see :class:`tempo.inference.session.AskOptions`."""

    max_new_tokens: int
    temperature: float
    top_p: float


@dataclass(frozen=True)
class Text:
    """The answer under SETTING so far."""

    setting: Setting
    text: str


@dataclass
class Turn:
    """A question with its answers.

    Attributes:
        earlier: the (question, answer) pairs that it followed.
        setting: under which the answer is shown, and remembered in later questions.
        answers: the whole answers so far, by setting.
    """

    question: str
    earlier: tuple[tuple[str, str], ...]
    writing: Writing
    setting: Setting
    answers: dict[Setting, Answer] = field(default_factory=dict)

    @property
    def answer(self) -> Answer | None:
        """Under the setting that is shown; None: it is not whole yet."""
        return self.answers.get(self.setting)

    @property
    def relevance(self) -> list[float] | None:
        """Of every segment: the same under every setting."""
        for answer in self.answers.values():
            return [segment.relevance for segment in answer.segments]
        return None
