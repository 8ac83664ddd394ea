"""Questions that follow one another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Unpack

from tempo.answer import Answer, AnswerStream
from tempo.errors import UsageError
from tempo.session import AskOptions, Session


class Conversation:
    """A session with a memory: each question is read together with the earlier ones and their answers.

    The video is routed and distilled anew for every question, with the earlier questions in mind, so a
    follow-up can ask for what no earlier answer was about.

    Attributes:
        turns: the (question, answer) pairs that the next question is read with, oldest first.
        keep_turns: how many they are at most, of which the oldest are forgotten first; None: all of them.
    """

    def __init__(self, session: Session, *, keep_turns: int | None = None) -> None:
        """Raises UsageError where `keep_turns` is no number of turns."""
        if keep_turns is not None and (
            isinstance(keep_turns, bool) or not isinstance(keep_turns, int) or keep_turns < 0
        ):
            raise UsageError(f"keep_turns must be a whole number of at least 0, or None, not {keep_turns}")
        self.session = session
        self.keep_turns = keep_turns
        self.turns: list[tuple[str, str]] = []

    def clear(self) -> None:
        """Forget all turns; the video stays watched."""
        self.turns.clear()

    def ask(self, question: str, **options: Unpack[AskOptions]) -> Answer:
        """Like `Session.ask`, and remembered.

        Raises:
            UsageError, TempoError: as `Session.ask`, and where the earlier turns fill the model's context.
        """
        return self.stream(question, **options).answer

    def stream(self, question: str, **options: Unpack[AskOptions]) -> AnswerStream:
        """Like `Session.stream`. It is remembered once the answer is whole."""
        stream = self.session.stream_after(tuple(self.turns), question, **options)

        def remembered() -> Iterator[str | Answer]:
            yield from stream
            self.turns.append((question, stream.answer.text))
            if self.keep_turns is not None:
                del self.turns[: max(0, len(self.turns) - self.keep_turns)]
            yield stream.answer

        return AnswerStream(remembered())
