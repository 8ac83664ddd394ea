"""Conversations about images and videos: the LLaVA format, in JSON or JSONL.

    {"video": "clips/kitchen.mp4",
     "conversations": [{"from": "human", "value": "<video>\\nWhat is on the table?"},
                       {"from": "gpt",   "value": "A cup of tea."}]}

`image` in place of `video` for a still picture. The markers `<image>` and `<video>` say nothing that is not
known and are taken out. Two fields are tempo's own and may be left out: `id`, by which a sample is called in
messages, and `evidence`, the moments that the questions are about, as [start, end] in seconds.

A JSONL file is never in memory: only where its lines begin is.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tempo.errors import TempoError

_MARKERS = re.compile(r"\s*<(?:image|video)>\s*")
_ROLES = {"human": "human", "user": "human", "gpt": "gpt", "assistant": "gpt"}


@dataclass(frozen=True)
class Record:
    """One conversation about one video or picture.

    Attributes:
        media: path or http(s) address.
        turns: (question, answer) pairs in order.
        evidence: [start, end] in seconds of the moments that the questions are about; None: not known.
    """

    media: str
    turns: tuple[tuple[str, str], ...]
    evidence: tuple[tuple[float, float], ...] | None = None


class Records:
    """The records of one file, read one at a time.

    Raises:
        TempoError: the file is missing, empty, or no JSON at all. What is wrong with a single record is
            raised when that record is read.
    """

    def __init__(self, path: str | Path, media: str | Path | None = None) -> None:
        self.path = Path(path)
        self.media = Path(media) if media is not None else self.path.parent
        if not self.path.is_file():
            raise TempoError(f"{path}: there is no such file of conversations")
        self._starts: np.ndarray | None = None
        self._values: list[Any] = []
        if self.path.suffix.lower() == ".json":
            self._values = _read_array(self.path)
        else:
            self._starts = _line_starts(self.path)
        if len(self) == 0:
            raise TempoError(f"{path}: there are no conversations in it")

    def __len__(self) -> int:
        return len(self._values) if self._starts is None else len(self._starts)

    def name(self, index: int) -> str:
        """How messages call record `index`: by its file, and its line or its place in the list."""
        line = index + 1 if self._starts is None else int(self._starts[index, 1])
        return f"{self.path.name}:{line}"

    def read(self, index: int) -> Record:
        """Record `index`, checked.

        Raises:
            TempoError: it is not a conversation about one image or video.
        """
        if self._starts is None:
            return self._record(self._values[index])
        with self.path.open("rb") as stream:
            stream.seek(int(self._starts[index, 0]))
            line = stream.readline()
        try:
            value = json.loads(line)
        except ValueError as error:
            raise TempoError(f"not JSON ({error})") from error
        return self._record(value)

    def _record(self, value: Any) -> Record:
        if not isinstance(value, dict):
            raise TempoError("not a JSON object")
        named = [key for key in ("image", "video") if value.get(key) is not None]
        if len(named) != 1:
            raise TempoError("a sample needs either an image or a video")
        media = value[named[0]]
        if isinstance(media, list):
            if len(media) != 1:
                raise TempoError(f"{named[0]}: one, not {len(media)}; give several images as a folder")
            media = media[0]
        if not isinstance(media, str) or not media:
            raise TempoError(f"{named[0]}: must be a path, not {media!r}")
        if "://" not in media:
            media = str(self.media / media)
        return Record(media, _turns(value.get("conversations")), _evidence(value.get("evidence")))


def _turns(conversations: Any) -> tuple[tuple[str, str], ...]:
    """(question, answer) pairs of a list that goes human, gpt, human, gpt …"""
    if not isinstance(conversations, list) or not conversations:
        raise TempoError("conversations: must be a list of turns")
    texts = []
    for number, turn in enumerate(conversations):
        role = turn.get("from", turn.get("role")) if isinstance(turn, dict) else None
        text = turn.get("value", turn.get("content")) if isinstance(turn, dict) else None
        expected = "gpt" if number % 2 else "human"
        if _ROLES.get(str(role)) != expected:
            raise TempoError(f"conversations: turn {number + 1} must be from {expected}, not {role!r}")
        text = _MARKERS.sub("\n", text).strip() if isinstance(text, str) else ""
        if not text:
            raise TempoError(f"conversations: turn {number + 1} has no text")
        texts.append(text)
    if len(texts) % 2:
        raise TempoError("conversations: the last question has no answer")
    return tuple(zip(texts[::2], texts[1::2], strict=True))


def _evidence(value: Any) -> tuple[tuple[float, float], ...] | None:
    if value is None:
        return None
    try:
        spans = tuple((float(start), float(end)) for start, end in value)
    except (TypeError, ValueError):
        raise TempoError("evidence: must be a list of [start, end] in seconds") from None
    if any(not 0 <= start <= end for start, end in spans):
        raise TempoError("evidence: start must be at least 0 and at most end")
    return spans


def _read_array(path: Path) -> list[Any]:
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TempoError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(values, list):
        raise TempoError(f"{path}: a .json file holds a list of conversations; one a line is .jsonl")
    return values


def _line_starts(path: Path) -> np.ndarray:
    """int64 [n, 2]: the byte at which each line that is not blank begins, and its number from 1."""
    starts, at = [], 0
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    starts.append((at, number))
                at += len(line)
    except OSError as error:
        raise TempoError(f"{path}: not readable ({error.strerror or error})") from error
    return np.asarray(starts, np.int64).reshape(-1, 2)
