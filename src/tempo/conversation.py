"""Questions that follow one another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Unpack

from tempo.answer import Answer, AnswerStream
from tempo.session import AskOptions, Session


class Conversation:
    """A session with a memory: each question is read together with the earlier ones and their answers.

    The video is routed and distilled anew for every question, with the earlier questions in mind, so a
    follow-up can ask for what no earlier answer was about.

    Attributes:
        turns: the (question, answer) pairs so far.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.turns: list[tuple[str, str]] = []

    def ask(self, question: str, **options: Unpack[AskOptions]) -> Answer:
        """Like `Session.ask`, and remembered."""
        return self.stream(question, **options).answer

    def stream(self, question: str, **options: Unpack[AskOptions]) -> AnswerStream:
        """Like `Session.stream`. It is remembered once the answer is whole."""
        stream = self.session.stream_after(tuple(self.turns), question, **options)

        def remembered() -> Iterator[str | Answer]:
            yield from stream
            self.turns.append((question, stream.answer.text))
            yield stream.answer

        return AnswerStream(remembered())
