"""A request of lmms-eval's chat interface → an item: the words, the one video or picture, the options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tempo.errors import TempoError, UsageError

from .runner import Item

NOTED = (str, int, float, bool)
LONGEST = 200
"""Characters of a value that is worth noting; a question's own text is in the record anyway."""

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
    """What is asked. An item whose video is not there, or that tempo cannot be asked, says why.

    Args:
        doc: the benchmark's own entry.
        messages: makes the messages of it; tasks end the process here where a video is missing.
        picture: where to put a picture that lmms-eval has opened already.

    Raises:
        UsageError: the task wants another way of writing answers.
    """
    about = _noted(doc)
    try:
        question, video = read_messages(messages(), picture=picture)
    except (Exception, SystemExit) as error:
        return Item(task=task, number=number, about=about, error=_missing(doc, error))
    return Item(
        task=task, number=number, question=question, video=video, about=about, **read_options(task, options)
    )


def read_messages(messages: Messages, *, picture: Path) -> tuple[str, str]:
    """The words of the messages, and the path of the one video or picture among them.

    Raises:
        TempoError: there is another number of them, or only a part of a video is meant.
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
        raise TempoError(f"tempo watches one video or picture for a question, and here is: {kinds}")
    source: Any = media[0].get("url")
    if isinstance(source, dict):
        if {"video_start", "video_end"} & source.keys():
            raise TempoError("only a part of a video is asked about, and tempo watches whole ones")
        source = source.get("path") or source.get("url")
    if hasattr(source, "save"):  # a picture of PIL
        source.convert("RGB").save(picture)
        source = str(picture)
    if not isinstance(source, str):
        raise TempoError(f"a video is given as {type(source).__name__}, and tempo reads files")
    return "\n".join(words), source


def read_options(task: str, options: dict[str, Any]) -> dict[str, Any]:
    """lmms-eval's generation arguments, as an item has them.

    Raises:
        UsageError: beams are asked for.
    """
    if (options.get("num_beams") or 1) > 1:
        raise UsageError(f"{task}: num_beams={options['num_beams']}; tempo writes one answer, without beams")
    temperature = float(options.get("temperature") or 0.0)
    stop = options.get("until") or ()
    return {
        "max_new_tokens": int(options.get("max_new_tokens") or options.get("max_gen_toks") or 256),
        "temperature": temperature if options.get("do_sample", temperature > 0) else 0.0,
        "top_p": float(options.get("top_p") or 1.0),
        "stop": (stop,) if isinstance(stop, str) else tuple(stop),
    }


def _noted(doc: dict[str, Any]) -> dict[str, Any]:
    """What the report may want to group by: short values, and short lists of them."""
    return {
        name: value
        for name, value in doc.items()
        if (isinstance(value, NOTED) and len(str(value)) <= LONGEST)
        or (isinstance(value, list) and len(value) <= 10 and all(isinstance(x, NOTED) for x in value))
    }


def _missing(doc: dict[str, Any], error: BaseException) -> str:
    """Why an item has no question; tasks say so by ending the process, or by an empty assertion."""
    named = next((doc[key] for key in ("video_path", "video_name", "videoID", "video") if doc.get(key)), "")
    text = str(error).strip()
    if isinstance(error, AssertionError) and not text:
        return f"{named}: the task does not find this video"
    return text or f"{named}: {type(error).__name__}"
