"""What a run knows of each of its items: one line of JSON, on the disk the moment it is answered.

These lines are what a killed run goes on from, and what the report is made of.
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

Key = tuple[str, int]
"""Task and number of an item."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One answered item, or one that could not be.

    Attributes:
        task, item: the benchmark and the number that lmms-eval gives the item.
        asked: hash of what was asked of what; an answer is used again only for the same.
        about: what the benchmark says of the item: its category, its length, the right answer.
        text: the answer; empty where there is an `error`.
        finished: whether the model ended its answer itself.
        error: why there is no answer.
        duration: seconds of video. frames, segments: what was watched of it.
        visual_tokens: memory tokens that the decoder read, of a `budget`.
        seconds: by phase and in total. What a session watched once for several questions counts for the
            first of them.
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


class Log:
    """Appends records to a file of its own for each process of a run."""

    def __init__(self, folder: Path, rank: int = 0) -> None:
        self.path = folder / f"answers-{rank}.jsonl"

    def add(self, record: Record) -> None:
        """Write one line; a line that the end of an earlier process cut off does not swallow it."""
        line = json_line(asdict(record))
        with self.path.open("a+b") as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    line = b"\n" + line
            file.write(line)


def read_records(folder: Path) -> dict[Key, Record]:
    """The latest record of every item in a run's folder; an answer wins over an error.

    A line that was cut off when the process died is left out.

    Raises:
        TempoError: a line is damaged in another way.
    """
    found: dict[Key, Record] = {}
    for path in sorted(folder.glob("answers-*.jsonl")):
        for record in _read(path):
            known = found.get(record.key)
            if known is None or known.error is not None or record.error is None:
                found[record.key] = record
    return found


def count_records(folder: Path) -> int:
    """How many lines a run has written so far; quick, and of no other meaning than progress."""
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("answers-*.jsonl"))


def _read(path: Path) -> Iterable[Record]:
    known = {one.name for one in fields(Record)}
    for number, line in numbered_lines(path):
        try:
            values = json.loads(line)
        except ValueError:
            continue  # cut off by the end of the process; its item is simply asked again
        if not isinstance(values, dict) or not {"task", "item", "asked"} <= values.keys():
            raise TempoError(f"{path}, line {number}: not a line that tempo wrote; remove it")
        yield Record(**{name: value for name, value in values.items() if name in known})
