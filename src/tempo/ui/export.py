"""Export a conversation as JSON, and its latest answer as a PNG."""

from __future__ import annotations

from typing import Any

from tempo.errors import TempoError
from tempo.reporting.plot import to_png
from tempo.video.video import Video

from .client import ClientSession
from .turns import Turn


def to_json(client: ClientSession) -> dict[str, Any]:
    """Every question with its answers, allocations and figures, and the seconds that watching took.

    Raises:
        TempoError: no question was asked yet.
    """
    opened = client.open_video
    if opened is None or not client.turns:
        raise TempoError("nothing was asked yet; ask a question first")
    return {
        "title": opened.title,
        "watching": {"seconds": opened.watched, "timings": opened.session.timings},
        "turns": [
            {
                "question": turn.question,
                "options": dict(turn.generation),
                "shown": _shown(turn),
                "answers": [
                    {"adaptive": variant.adaptive, **answer.called(opened.title).to_dict()}
                    for variant, answer in turn.answers.items()
                ],
            }
            for turn in client.turns
        ],
    }


def picture(client: ClientSession) -> bytes:
    """The latest answer with its allocation as a PNG. Raises TempoError as `to_json` does."""
    opened = client.open_video
    answer = client.turns[-1].answer if client.turns else None
    if opened is None or answer is None:
        raise TempoError("nothing was asked yet; ask a question first")
    return to_png(answer.called(opened.title).plot(video=Video.open(opened.path)))


def _shown(turn: Turn) -> dict[str, Any] | None:
    """The variant whose answer the page shows; None while that answer is being generated."""
    if turn.answer is None:
        return None
    return {"budget": turn.variant.budget, "adaptive": turn.variant.adaptive}
