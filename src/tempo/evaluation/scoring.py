"""Decide the outcome of an item: right, wrong, without a letter, or an error.

Right and wrong are lmms-eval's own verdicts, with two exceptions: it guesses a letter at random if an answer
to LongVideoBench has none, and it takes any capital letter of a word for one ("Blue" is B). Here an answer
without a letter is counted as such and is never right.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from .benchmarks import Benchmark
from .item_log import ItemRecord
from .letters import letter_of, options_of

Outcome = Literal["right", "wrong", "no letter", "error"]
Odd = Literal["empty", "cut off", "repeating"]

REPEATS = 4  # repetitions in a row, over at least half of the answer, that count as degenerate


def outcome(benchmark: Benchmark, record: ItemRecord, logged: Any) -> Outcome:
    """The outcome of an item.

    Args:
        logged: lmms-eval's log entry of the answer.
    """
    if record.error is not None:
        return "error"
    if letter_of(record.text, benchmark.letters, options_of(record.question)) is None:
        return "no letter"
    return "right" if verdict(logged) else "wrong"


def verdict(logged: Any) -> bool:
    """Whether lmms-eval judged an answer right, from its log entry."""
    if not isinstance(logged, dict):
        return bool(logged)
    said = logged.get("pred_answer", logged.get("parsed_pred"))
    return str(said).strip().lower() == str(logged.get("answer")).strip().lower()


def odd(record: ItemRecord) -> Odd | None:
    """How an answer is degenerate, or None."""
    if record.error is not None:
        return None
    if not record.text.strip():
        return "empty"
    if repeats(record.text):
        return "repeating"
    return None if record.finished else "cut off"


def repeats(text: str) -> bool:
    """Whether an answer loops: a part of it stands `REPEATS` times in a row."""
    found = re.search(rf"(.{{1,200}}?)(?:\s*\1){{{REPEATS - 1},}}", text.strip(), re.DOTALL)
    return found is not None and 2 * len(found[0]) >= len(text.strip()) and len(found[0]) >= 2 * REPEATS
