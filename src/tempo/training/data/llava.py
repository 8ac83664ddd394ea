"""Conversations about images and videos: the LLaVA format, in JSON or JSONL.

    {"video": "clips/kitchen.mp4",
     "conversations": [{"from": "human", "value": "<video>\\nWhat is on the table?"},
                       {"from": "gpt",   "value": "A cup of tea."}]}

`image` in place of `video` for a still picture. OpenAI's form is read too: `messages`, whose content is a
text or a list of parts. The markers `<image>` and `<video>` of questions say nothing that is not known and
are taken out; answers are learnt to the letter. Two fields are tempo's own and may be left out: `id`, by
which a sample is called in messages, and `evidence`, the stretches that the questions are about, as [start,
end] in seconds.

A JSONL file is never in memory: only where its lines begin is.
"""

from __future__ import annotations

import codecs
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tempo.errors import TempoError

from .llava_conversation import read_conversation, read_evidence

_BLANK = codecs.BOM_UTF8 + b" \t\r\n\0"


@dataclass(frozen=True)
class ConversationRecord:
    """One conversation about one video or picture.

    Attributes:
        media: path or http(s) address.
        turns: (question, answer) pairs in order.
        evidence: [start, end] in seconds of what the questions are about; None: not known.
    """

    media: str
    turns: tuple[tuple[str, str], ...]
    evidence: tuple[tuple[float, float], ...] | None = None


class ConversationFile:
    """The records of one file, read one at a time.

    Raises:
        TempoError: the file is missing, empty, or no JSON at all. What is wrong with a single record is
            raised when that record is read.
    """

    def __init__(self, path: str | Path, media: str | Path | None = None) -> None:
        self.path = Path(path)
        self.media = Path(media) if media is not None else self.path.parent
        if not self.path.is_file():
            raise TempoError(f"{path}: no such file; check the path")
        self._starts: np.ndarray | None = None
        self._values: list[Any] = []
        if self.path.suffix.lower() == ".json":
            self._values = _read_array(self.path)
        else:
            self._starts = _line_starts(self.path)
        if len(self) == 0:
            raise TempoError(f"{path}: no conversations in this file")

    def __len__(self) -> int:
        return len(self._values) if self._starts is None else len(self._starts)

    def name(self, index: int) -> str:
        """How messages call record `index`: by its file, and its line or its place in the list."""
        line = index + 1 if self._starts is None else int(self._starts[index, 1])
        return f"{self.path.name}:{line}"

    def read(self, index: int) -> ConversationRecord:
        """ConversationRecord `index`, checked.

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
        except (ValueError, RecursionError) as error:
            raise TempoError(f"not JSON ({error})") from error
        return self._record(value)

    def _record(self, value: Any) -> ConversationRecord:
        turns, media = read_conversation(value)
        if "://" not in media:
            media = str(self.media / media)
        return ConversationRecord(media, turns, read_evidence(value.get("evidence")))


def _read_array(path: Path) -> list[Any]:
    try:
        values = json.loads(path.read_bytes())  # in UTF-8, UTF-16 or UTF-32, with or without a mark
    except (OSError, ValueError, RecursionError) as error:
        more = "; one conversation a line is .jsonl" if "Extra data" in str(error) else ""
        raise TempoError(f"{path}: not readable as JSON ({error}){more}") from error
    if not isinstance(values, list):
        raise TempoError(f"{path}: a .json file holds a list of conversations; one a line is .jsonl")
    return values


def _line_starts(path: Path) -> np.ndarray:
    """int64 [n, 2]: the byte at which each line that is not blank begins, and its number from 1."""
    starts: list[tuple[int, int]] = []
    at = 0
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip(_BLANK):
                    if not starts and line.strip(_BLANK) == b"[":
                        raise TempoError(
                            f"{path}: a .jsonl file has one conversation a line; a list is .json"
                        )
                    if not starts and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                        raise TempoError(f"{path}: a text in UTF-16; write it in UTF-8")
                    starts.append((at, number))
                at += len(line)
    except OSError as error:
        raise TempoError(f"{path}: not readable ({error.strerror or error})") from error
    return np.asarray(starts, np.int64).reshape(-1, 2)
