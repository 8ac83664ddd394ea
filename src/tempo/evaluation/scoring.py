"""What became of an item: right, wrong, without a letter, or without an answer at all.

Right and wrong are lmms-eval's own verdicts. Two things it does are not taken over: it draws a letter by
chance where an answer to LongVideoBench has none, and it takes any capital letter of a word for one ("Blue"
is B). An answer in which no letter is given is counted as such and is never right.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from .benchmarks import Benchmark
from .item_log import Record
from .letters import letter_of, options_of

Outcome = Literal["right", "wrong", "no letter", "error"]
Odd = Literal["empty", "cut off", "repeating"]

REPEATS = 4
"""So often in a row, and for at least half of the answer, is repeating."""


def outcome(benchmark: Benchmark, record: Record, logged: Any) -> Outcome:
    """What became of an item.

    Args:
        logged: what lmms-eval made of the answer.
    """
    if record.error is not None:
        return "error"
    if letter_of(record.text, benchmark.letters, options_of(record.question)) is None:
        return "no letter"
    return "right" if verdict(logged) else "wrong"


def verdict(logged: Any) -> bool:
    """Whether lmms-eval takes an answer for right, from what it logs of an item."""
    if not isinstance(logged, dict):
        return bool(logged)
    said = logged.get("pred_answer", logged.get("parsed_pred"))
    return str(said).strip().lower() == str(logged.get("answer")).strip().lower()


def odd(record: Record) -> Odd | None:
    """How an answer is degenerate, or None where it is not."""
    if record.error is not None:
        return None
    if not record.text.strip():
        return "empty"
    if repeats(record.text):
        return "repeating"
    return None if record.finished else "cut off"


def repeats(text: str) -> bool:
    """Whether an answer goes round in circles: something of it stands `REPEATS` times in a row."""
    found = re.search(rf"(.{{1,200}}?)(?:\s*\1){{{REPEATS - 1},}}", text.strip(), re.DOTALL)
    return found is not None and 2 * len(found[0]) >= len(text.strip()) and len(found[0]) >= 2 * REPEATS
