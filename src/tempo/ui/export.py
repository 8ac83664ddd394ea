"""A conversation as JSON, and its latest answer as a chart, subtitles and a report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from tempo.errors import TempoError
from tempo.reporting.plot import to_png
from tempo.serving.api_errors import ApiError
from tempo.text_safety import whole_text
from tempo.video.video import Video

from .open_video import OpenVideo
from .turns import Turn


def export(opened: OpenVideo, kind: str) -> tuple[bytes, str]:
    """A file to save, and its MIME type.

    Args:
        kind: json (the conversation), png, srt or html (the latest answer).

    Raises:
        ApiError: there is no such kind, or no question was answered yet.
    """
    if kind not in _WRITERS:
        raise ApiError(404, f"{kind[:20]}: no such export; choose {', '.join(_WRITERS)}")
    if not opened.turns:
        raise ApiError(409, "nothing was asked yet; ask a question first")
    media_type, write = _WRITERS[kind]
    try:
        data = write(opened)
    except TempoError as error:  # where the server keeps its files is nobody's business
        raise TempoError(str(error).replace(str(opened.source.path), opened.source.title)) from error
    return (whole_text(data).encode() if isinstance(data, str) else data), media_type


def saved_as(opened: OpenVideo, kind: str) -> str:
    """The header that names the saved file after its video."""
    name = quote(f"{PurePath(opened.source.title).stem}.{kind}", safe="", errors="replace")
    return f"attachment; filename=\"tempo.{kind}\"; filename*=UTF-8''{name}"


def _to_json(opened: OpenVideo) -> str:
    """Every question with its answers, allocations and figures, and the seconds that watching took."""
    watched = opened.watched
    value = {
        "title": opened.source.title,
        "watching": {"seconds": watched.seconds, "timings": watched.timings} if watched else None,
        "turns": [_turn(turn) for turn in opened.turns],
    }
    return json.dumps(value, ensure_ascii=False, indent=1)


def _turn(turn: Turn) -> dict[str, Any]:
    return {
        "question": turn.question,
        "start": turn.part[0],
        "end": turn.part[1],
        "options": dict(turn.generation),
        "shown": {"budget": turn.variant.budget, "adaptive": turn.variant.adaptive},
        "answers": [
            {"adaptive": variant.adaptive, **answer.to_dict()} for variant, answer in turn.answers.items()
        ],
    }


def _to_png(opened: OpenVideo) -> bytes:
    return to_png(opened.turns[-1].answer.plot(video=Video.open(opened.source.path)))


def _to_srt(opened: OpenVideo) -> str:
    return opened.turns[-1].answer.to_srt()


def _to_html(opened: OpenVideo) -> str:
    return opened.turns[-1].answer.to_html(video=Video.open(opened.source.path))


_WRITERS: dict[str, tuple[str, Callable[[OpenVideo], bytes | str]]] = {
    "json": ("application/json", _to_json),
    "png": ("image/png", _to_png),
    "srt": ("application/x-subrip", _to_srt),
    "html": ("text/html", _to_html),
}
