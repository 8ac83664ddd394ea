"""A visit's conversation as one JSON object, and its latest answer as a picture."""

from __future__ import annotations

from typing import Any

from tempo.errors import TempoError
from tempo.inference.serialization import record
from tempo.reporting.plot import plot, to_png
from tempo.video.video import Video

from .client import Visit
from .turns import Turn


def to_json(visit: Visit) -> dict[str, Any]:
    """Every question with its answers, allocations and figures, and what watching took.

    Raises:
        TempoError: nothing was asked yet.
    """
    film = visit.film
    if film is None or not visit.turns:
        raise TempoError("nothing was asked yet, so there is nothing to save")
    return {
        "title": film.title,
        "watching": {"seconds": film.watched, "timings": film.session.timings},
        "turns": [
            {
                "question": turn.question,
                "options": dict(turn.writing),
                "shown": _shown(turn),
                "answers": [
                    {"adaptive": setting.adaptive, **_without_path(record(answer), film.title)}
                    for setting, answer in turn.answers.items()
                ],
            }
            for turn in visit.turns
        ],
    }


def picture(visit: Visit) -> bytes:
    """The latest answer with its allocation, as PNG. Raises TempoError as `to_json`."""
    film = visit.film
    answer = visit.turns[-1].answer if visit.turns else None
    if film is None or answer is None:
        raise TempoError("nothing was asked yet, so there is nothing to draw")
    return to_png(plot(answer, Video.open(film.path), question=visit.turns[-1].question))


def _shown(turn: Turn) -> dict[str, Any] | None:
    """Which of the answers is on the page; None while the one that will be is still written."""
    if turn.answer is None:
        return None
    return {"budget": turn.setting.budget, "adaptive": turn.setting.adaptive}


def _without_path(record: dict[str, Any], title: str) -> dict[str, Any]:
    """Where the server keeps its files is nobody's business."""
    return {**record, "video": {**record["video"], "path": title}}
