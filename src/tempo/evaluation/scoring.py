"""What became of an item: right, wrong, without a letter, or without an answer at all.

Right and wrong are lmms-eval's own verdicts. Two things it does are not taken over: it draws a letter by
chance where an answer to LongVideoBench has none, and it takes any capital letter of a word for one ("Blue"
is B). An answer in which no letter is given is counted as such and is never right.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from tempo.evaluation.benchmarks import Benchmark
from tempo.evaluation.records import Record

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
    if letter(record.text, benchmark.letters) is None:
        return "no letter"
    return "right" if verdict(logged) else "wrong"


def verdict(logged: Any) -> bool:
    """Whether lmms-eval takes an answer for right, from what it logs of an item."""
    if not isinstance(logged, dict):
        return bool(logged)
    said = logged.get("pred_answer", logged.get("parsed_pred"))
    return str(said).strip().lower() == str(logged.get("answer")).strip().lower()


def letter(text: str, letters: str) -> str | None:
    """The letter that an answer gives, or None where it gives none.

    Taken are a letter alone or before an option ("B", "(B)", "B. red", "B red"), and one after such words as
    "the answer is", "option" or "choose". "A dog" is no letter, and neither is the B of "Blue".
    """
    choice = f"[{letters}]"
    text = text.strip()
    beginning = re.match(rf"[(\[*\"'\s]*({choice})(?:[)\].:,;*\"']|\s*$|\s+[-–(])", text)
    # A is a word too; the others before a blank can only be letters.
    beginning = beginning or re.match(rf"(?!A)({choice})\s", text)
    if beginning:
        return beginning[1]
    alone = re.findall(rf"[(\[]({choice})[)\]]|\*\*({choice})\*\*", text)
    if alone:
        return next(filter(None, alone[-1]))
    words = r"(?i:\b(?:answer|option|choice|choose|pick|select)(?: is| would be)?)"
    said = re.findall(rf"{words}:?\s*[(\"'*]*({choice})(?![A-Za-z'])", text)
    if said:
        return said[-1]
    ending = re.search(rf"(?:^|\n|[:]\s*)({choice})\.?\s*$", text)
    return ending[1] if ending else None


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
