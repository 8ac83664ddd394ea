"""One conversation of a file of data: its turns and its media, in the forms in which people have them.

LLaVA's form (`conversations`, `from` and `value`) and OpenAI's (`messages`, `role` and `content`) are read;
the media stand beside the turns (`video`, `videos`, `image`, `images`) or inside a message. What such data
can say and tempo cannot do is refused by name, since a sample without it would teach something else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from tempo.errors import TempoError

Pairs = tuple[tuple[str, str], ...]

_MARKERS = re.compile(r"\s*<(?:image|video)>\s*")
_ROLES = {"human": "human", "user": "human", "gpt": "gpt", "assistant": "gpt"}
_MEDIA = {"image": "image", "images": "image", "video": "video", "videos": "video"}
# What tempo's own prompts amount to; any other system prompt would be left out silently.
_USUAL_SYSTEM = ("", "You are a helpful assistant.", "You are a helpful assistant")
_STARTS = ("video_start", "start", "start_time", "start_frame")
_ENDS = ("video_end", "end", "end_time", "end_frame")
_SAMPLING = ("fps", "nframes", "max_frames", "min_frames")


def read_conversation(value: Any) -> tuple[Pairs, str]:
    """(question, answer) pairs in order, and the path or address of the one medium that they are about.

    Raises:
        TempoError: it is not a conversation about one image or video, or says what tempo cannot do.
    """
    if not isinstance(value, dict):
        more = "; a file that holds one list is called .json" if isinstance(value, list) else ""
        raise TempoError(f"not a JSON object{more}")
    _refuse_part_of_video(value)
    _check_system("system", value.get("system"))
    found: list[tuple[str, Any]] = []
    for key, kind in _MEDIA.items():
        given = value.get(key)
        found += [(kind, one) for one in (given if isinstance(given, list) else [given]) if one is not None]
    keys = [key for key in ("conversations", "messages") if value.get(key) is not None]
    if len(keys) > 1:
        raise TempoError("has both conversations and messages; keep one of them")
    key = keys[0] if keys else "conversations"
    pairs = _pairs(key, value.get(key), found)
    return pairs, _medium(found)


def read_evidence(value: Any) -> tuple[tuple[float, float], ...] | None:
    """The stretches of a video that a conversation is about, in seconds.

    Raises:
        TempoError: they are no stretches of time.
    """
    if value is None:
        return None
    try:
        spans = tuple((float(start), float(end)) for start, end in value)
    except (TypeError, ValueError, OverflowError):
        raise TempoError("evidence: must be a list of [start, end] in seconds") from None
    if any(not (0 <= start <= end and math.isfinite(end)) for start, end in spans):
        raise TempoError("evidence: start must be at least 0 and at most end")
    return spans


def _pairs(key: str, turns: Any, media: list[tuple[str, Any]]) -> Pairs:
    """(question, answer) pairs of a list that goes human, gpt, human, gpt … Adds what its messages name to
    `media`."""
    if not isinstance(turns, list) or not turns:
        raise TempoError(f"{key}: must be a list of turns")
    texts: list[str] = []
    for number, turn in enumerate(turns, start=1):
        name = f"{key}: turn {number}"
        role = turn.get("from", turn.get("role")) if isinstance(turn, dict) else None
        content = turn.get("value", turn.get("content")) if isinstance(turn, dict) else None
        if role == "system" and not texts:
            _check_system(name, content)
            continue
        expected = "gpt" if len(texts) % 2 else "human"
        if _ROLES.get(str(role)) != expected:
            raise TempoError(f"{name} must be from {expected}, not {role!r}")
        if any(turn.get(field, 1) not in (1, None) for field in ("weight", "loss")):
            raise TempoError(f"{name} is excluded from the loss, which tempo does not support; remove it")
        text = _text(name, content, media, answer=expected == "gpt")
        if not text:
            raise TempoError(f"{name} has no text")
        texts.append(text)
    if not texts:
        raise TempoError(f"{key}: must be a list of turns")
    if len(texts) % 2:
        raise TempoError(f"{key}: the last question has no answer")
    return tuple(zip(texts[::2], texts[1::2], strict=True))


def _text(name: str, content: Any, media: list[tuple[str, Any]], *, answer: bool) -> str:
    """The words of a turn. Markers of the media are taken out of questions; answers stay as they are."""
    words: list[str] = []
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            words.append(part)
        elif (
            isinstance(part, dict)
            and part.get("type") in ("text", None)
            and isinstance(part.get("text"), str)
        ):
            words.append(part["text"])
        elif isinstance(part, dict) and (kind := str(part.get("type")).removesuffix("_url")) in _MEDIA:
            if answer:
                raise TempoError(f"{name}: an answer is text, and this one has {kind} in it")
            _refuse_part_of_video(part)
            if named := [field for field in _SAMPLING if part.get(field) is not None]:
                raise TempoError(
                    f"{name}: {named[0]} of a single video is not read; set it in the recipe's video"
                )
            given = next(
                (part[field] for field in (f"{kind}_url", kind, "url", "path") if field in part), None
            )
            given = given.get("url") if isinstance(given, Mapping) else given
            if given is not None:  # else it only marks the place
                media.append((_MEDIA[kind], given))
        elif part is not None:
            what = part.get("type") if isinstance(part, dict) else part
            raise TempoError(f"{name} has a part of unknown type {what!r}; use text, image or video")
    text = "\n".join(words)
    return (text if answer else _MARKERS.sub("\n", text)).strip()


def _medium(found: list[tuple[str, Any]]) -> str:
    """The one image or video."""
    kinds = sorted({kind for kind, _ in found})
    if len(kinds) != 1:
        raise TempoError("a sample needs either an image or a video")
    (kind,) = kinds
    if len(found) != 1:
        raise TempoError(f"{kind}: must be one path, not {len(found)}; put several images into a folder")
    medium = found[0][1]
    if not isinstance(medium, str) or not medium:
        raise TempoError(f"{kind}: must be a path, not {medium!r}")
    if medium.startswith("data:"):
        raise TempoError(
            f"{kind}: must be a path or an address, not the file itself (data:); write it to a file"
        )
    return medium


def _refuse_part_of_video(value: Mapping[str, Any]) -> None:
    for field in (*_STARTS, *_ENDS):
        given = value.get(field)
        if given is not None and not (field in _STARTS and given == 0):
            raise TempoError(f"{field}: parts of videos are not supported; cut the part out into a file")


def _check_system(name: str, text: Any) -> None:
    """A model has its own prompts; a sample cannot bring others."""
    if text is not None and not (isinstance(text, str) and text.strip() in _USUAL_SYSTEM):
        raise TempoError(
            f"{name} is a system prompt; remove it: the model has its own (prompts in its config.json)"
        )
