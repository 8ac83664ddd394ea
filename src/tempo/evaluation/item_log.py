"""The log of a run's answers: one line of JSON per item, written as soon as the item is answered.

An interrupted run resumes from these lines, and the report is made from them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tempo.errors import TempoError
from tempo.storage.json_lines import json_line, numbered_lines

Key = tuple[str, int]  # task and number of an item


@dataclass(frozen=True, kw_only=True)
class ItemRecord:
    """The answer to one item, or the reason why it failed.

    Attributes:
        task, item: the lmms-eval task and the item's number in it.
        asked: hash of question, video and options; an answer is reused only for the same hash.
        about: the benchmark's metadata: category, length, correct answer.
        text: the answer; empty if there is an `error`.
        finished: whether the model ended its answer itself.
        error: why there is no answer.
        duration: length of the video in seconds.
        frames, segments: frames and segments that were watched.
        visual_tokens: memory tokens that the decoder read, of a `budget`.
        seconds: by phase and in total. Watching a video for several questions counts for the first of them.
    """

    task: str
    item: int
    asked: str
    question: str
    video: str | None
    about: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    finished: bool = True
    error: str | None = None
    duration: float = 0.0
    frames: int = 0
    segments: int = 0
    visual_tokens: int = 0
    budget: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    lost_seconds: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return self.task, self.item


class ItemLog:
    """Appends records to a file; each process of a run has its own."""

    def __init__(self, folder: Path, rank: int = 0) -> None:
        self.path = folder / f"answers-{rank}.jsonl"

    def add(self, record: ItemRecord) -> None:
        """Append one line, on a line of its own even if an earlier process died in the middle of one."""
        line = json_line(asdict(record))
        with self.path.open("a+b") as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    line = b"\n" + line
            file.write(line)


def read_records(folder: Path) -> dict[Key, ItemRecord]:
    """The latest record of every item in a run's folder; an answer takes precedence over an error.

    A line that was cut off when its process died is skipped.

    Raises:
        TempoError: a line is damaged in another way.
    """
    found: dict[Key, ItemRecord] = {}
    for path in sorted(folder.glob("answers-*.jsonl")):
        for record in _read(path):
            known = found.get(record.key)
            if known is None or known.error is not None or record.error is None:
                found[record.key] = record
    return found


def count_records(folder: Path) -> int:
    """The number of lines that a run has written so far; a quick estimate of its progress."""
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("answers-*.jsonl"))


def _read(path: Path) -> Iterable[ItemRecord]:
    known = {one.name for one in fields(ItemRecord)}
    for number, line in numbered_lines(path):
        try:
            values = json.loads(line)
        except ValueError:
            continue  # cut off when the process died; the item is asked again
        if not isinstance(values, dict) or not {"task", "item", "asked"} <= values.keys():
            raise TempoError(f"{path}, line {number}: not a record of a run; remove the line")
        yield ItemRecord(**{name: value for name, value in values.items() if name in known})
