"""Convert a request of lmms-eval's chat interface into an item: question, video, generation options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tempo.errors import TempoError, UsageError

from .runner import Item

RECORDED_TYPES = (str, int, float, bool)
MAX_CHARACTERS = 200  # of a recorded value; the question itself is in the record anyway

Messages = list[dict[str, Any]]


def read_request(
    task: str,
    number: int,
    doc: dict[str, Any],
    options: dict[str, Any],
    messages: Callable[[], Messages],
    *,
    picture: Path,
) -> Item:
    """The item of a request. It has an `error` if its video is missing or tempo does not support it.

    Args:
        doc: the benchmark's own entry.
        messages: creates the messages; some tasks exit the process here if a video is missing.
        picture: where to save an image that lmms-eval has already opened.

    Raises:
        UsageError: the task needs a generation option that tempo lacks.
    """
    about = _metadata(doc)
    try:
        question, video = read_messages(messages(), picture=picture)
    except (Exception, SystemExit) as error:
        return Item(task=task, number=number, about=about, error=_missing(doc, error))
    return Item(
        task=task, number=number, question=question, video=video, about=about, **read_options(task, options)
    )


def read_messages(messages: Messages, *, picture: Path) -> tuple[str, str]:
    """The text of the messages, and the path of their video or image.

    Raises:
        TempoError: there is not exactly one, or the task asks about a part of a video.
    """
    words: list[str] = []
    media: list[dict[str, Any]] = []
    for message in messages:
        content = message["content"]
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            if part["type"] == "text":
                words.append(part["text"])
            else:
                media.append(part)
    if len(media) != 1 or media[0]["type"] not in ("video", "image"):
        kinds = ", ".join(part["type"] for part in media) or "nothing"
        raise TempoError(f"a question needs exactly one video or image, not: {kinds}")
    source: Any = media[0].get("url")
    if isinstance(source, dict):
        if {"video_start", "video_end"} & source.keys():
            raise TempoError("questions about a part of a video are not supported")
        source = source.get("path") or source.get("url")
    if hasattr(source, "save"):  # a PIL image
        source.convert("RGB").save(picture)
        source = str(picture)
    if not isinstance(source, str):
        raise TempoError(f"a video must be a file, not {type(source).__name__}")
    return "\n".join(words), source


def read_options(task: str, options: dict[str, Any]) -> dict[str, Any]:
    """Convert lmms-eval's generation arguments to those of an item.

    Raises:
        UsageError: the task asks for beam search.
    """
    if (options.get("num_beams") or 1) > 1:
        raise UsageError(
            f"{task}: num_beams={options['num_beams']} is not supported; choose a task without beam search"
        )
    temperature = float(options.get("temperature") or 0.0)
    stop = options.get("until") or ()
    return {
        "max_new_tokens": int(options.get("max_new_tokens") or options.get("max_gen_toks") or 256),
        "temperature": temperature if options.get("do_sample", temperature > 0) else 0.0,
        "top_p": float(options.get("top_p") or 1.0),
        "stop": (stop,) if isinstance(stop, str) else tuple(stop),
    }


def _metadata(doc: dict[str, Any]) -> dict[str, Any]:
    """The metadata that a report may group by: short values, and short lists of them."""
    return {
        name: value
        for name, value in doc.items()
        if (isinstance(value, RECORDED_TYPES) and len(str(value)) <= MAX_CHARACTERS)
        or (
            isinstance(value, list) and len(value) <= 10 and all(isinstance(x, RECORDED_TYPES) for x in value)
        )
    }


def _missing(doc: dict[str, Any], error: BaseException) -> str:
    """Why an item has no question. Tasks report that by exiting the process or by an empty assertion."""
    named = next((doc[key] for key in ("video_path", "video_name", "videoID", "video") if doc.get(key)), "")
    text = str(error).strip()
    if isinstance(error, AssertionError) and not text:
        return f"{named}: lmms-eval's task cannot find this video"
    return text or f"{named}: {type(error).__name__}"
