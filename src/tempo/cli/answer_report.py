"""Print an answer on stdout, as one JSON object or as text for people."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from tempo.formatting import printable

from .render import chart, indented, moments, table

if TYPE_CHECKING:
    from tempo.inference.results import Answer


def print_json(value: dict[str, Any]) -> None:
    """Print VALUE as one line of JSON, with escapes if stdout cannot encode it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, allow_nan=False)
    print(text)


def answer_text(answer: Answer) -> Text:
    """The text of an answer, with a remark if it was cut off."""
    text = Text(printable(answer.display) or "(no answer)", style="bold")
    if not answer.finished:
        text = Text.assemble(text, (" … (cut off: raise --max-new-tokens)", "dim"))
    return text


def print_answer(answer: Answer, console: Console, *, verbose: bool = False) -> None:
    """Print the answer, the allocation over time and the strongest moments; if VERBOSE, the facts too."""
    console.print(answer_text(answer), soft_wrap=True)
    floor = answer.relevance_floor
    for block in (chart(answer.segments, floor=floor), moments(answer.segments, floor=floor)):
        console.print()
        console.print(indented(block), soft_wrap=True)
    if verbose:
        console.print()
        console.print(indented(table(answer.facts)), soft_wrap=True)
