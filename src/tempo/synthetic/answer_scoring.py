"""Scores answers about synthetic videos against their ground truth, strictly."""

from __future__ import annotations

import re
from typing import Any


def is_correct(question: dict[str, Any], answer: str, *, window: float) -> bool:
    """Compare `answer` with the truth of `question`, an entry of a ground-truth file.

    Letters and words have to be equal but for case and a final full stop; an answer that says more is wrong.
    A time ("when", unless multiple choice) is right within `window` seconds, the length of one segment. A
    summary is right if all of its times and what it says about them are.
    """
    said = answer.strip().rstrip(".").lower()
    if question["kind"] == "when" and not question["options"]:
        number = re.fullmatch(r"(?:at )?(\d+(?:\.\d+)?)(?: ?s| seconds?)?", said)
        return number is not None and abs(float(number[1]) - question["seconds"]) <= window
    if question["kind"] == "summary":
        given, true = _parts(said), _parts(str(question["answer"]).rstrip(".").lower())
        return len(given) == len(true) and all(
            abs(a - b) <= window and said == meant for (a, said), (b, meant) in zip(given, true, strict=True)
        )
    return said == str(question["answer"]).rstrip(".").lower()


def _parts(summary: str) -> list[tuple[float, str]]:
    """Seconds and words of every part of a summary; infinity for a part of another form."""
    found = [re.fullmatch(r"(\d+\.\d+) seconds: (.+)", part) for part in summary.split(". ")]
    return [(float(one[1]), one[2]) if one else (float("inf"), "") for one in found]


def shows(question: dict[str, Any], start: float, end: float) -> bool:
    """Whether what `question` names is on screen between `start` and `end` seconds."""
    return any(first < end and last > start for first, last in question["evidence"])


def evidence_rank(
    question: dict[str, Any], spans: list[tuple[float, float]], relevance: list[float]
) -> float:
    """The best rank by relevance of a segment that shows what is asked for, as a share of all segments.

    0 is the top; 1.0 where no segment shows it. Segments that show it for less than half a second do not
    count.
    """
    order = sorted(range(len(spans)), key=lambda i: -relevance[i])
    for place, index in enumerate(order):
        start, end = spans[index]
        if shows(question, start + 0.25, end - 0.25):
            return place / len(spans)
    return 1.0
