"""Print an answer on stdout, as one JSON object or as text for people."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from tempo.formatting import clock, printable, size

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
    """Print the answer, the allocation over time and the strongest moments; if VERBOSE, the figures too."""
    console.print(answer_text(answer), soft_wrap=True)
    floor = answer.relevance_floor
    for block in (chart(answer.segments, floor=floor), moments(answer.segments, floor=floor)):
        console.print()
        console.print(indented(block), soft_wrap=True)
    if verbose:
        console.print()
        console.print(indented(table(figures(answer))), soft_wrap=True)


def figures(answer: Answer) -> list[tuple[str, str]]:
    """The cost of an answer as rows of a name and a text."""
    video, usage = answer.video, answer.usage
    phases = " · ".join(f"{name} {seconds:.2f}" for name, seconds in usage.timings.items() if name != "total")
    frames = "1 frame" if video.frames == 1 else f"{video.frames} frames at {video.fps:.3g} per second"
    per_frame = usage.visual_tokens / video.frames
    return [
        ("video", f"{video.path or 'frames'} · {clock(video.duration)} · {video.width}×{video.height}"),
        ("watched", f"{frames} in {len(answer.segments)} segments"),
        ("tokens", f"{usage.visual_tokens} of a budget of {answer.budget} · {per_frame:.2g} per frame"),
        ("text", f"{usage.prompt_tokens} tokens read · {usage.answer_tokens} written"),
        ("seconds", f"{usage.timings['total']:.2f} = {phases}"),
        ("memory", f"{size(usage.peak_memory_bytes)} at the peak"),
        ("model", answer.model),
        *(("lost", f"{clock(span.start)}–{clock(span.end)} · {span.reason}") for span in video.lost),
        *(("remark", remark) for remark in video.remarks),
    ]
