"""Show on one screen what this machine watches videos with, and what would make it faster.

Program, processor, memory, devices, decoder, attention backend, models and folders; then what keeps tempo
from working, if anything, and what would speed it up. Nothing is loaded or fetched. The exit status is 1 if
something keeps it from working.

Examples:
  tempo doctor
  tempo doctor --json
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the form of the output."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    """Look, and tell."""
    from tempo.console import counting

    from .answer_report import print_json
    from .diagnosis import diagnose

    with counting("looking"):
        found = diagnose()
    if args.json:
        sections = {name: dict(rows) for name, rows in found.sections.items()}
        print_json({**sections, "problems": found.problems, "advice": found.advice})
    else:
        _show(found.sections, found.problems, found.advice)
    return 1 if found.problems else 0


def _show(sections: dict[str, list[tuple[str, str]]], problems: list[str], advice: list[str]) -> None:
    from rich.text import Text

    from tempo.console import ACCENT, Output
    from tempo.formatting import printable

    from .render import indented, table

    console = Output()
    for name, rows in sections.items():
        console.print(Text(name, style=ACCENT))
        console.print(indented(table(rows)), soft_wrap=True)
    for name, lines in (("what keeps it from working", problems), ("what would make it faster", advice)):
        if lines:
            console.print(Text(name, style=ACCENT))
            console.print(
                indented(Text("\n").join(Text(f"- {printable(line)}") for line in lines)), soft_wrap=True
            )
    if not problems:
        console.print("Everything that tempo needs is here.")
