"""Check hardware and dependencies and suggest speed-ups.

The report covers the program, processor, memory, devices, decoder, attention backend, models and folders,
then problems that keep tempo from working, and suggestions. The command loads and downloads nothing. The exit
status is 1 if there is a problem.

Examples:
  tempo doctor
  tempo doctor --json
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    from tempo.console import progress_bar

    from .answer_report import print_json
    from .diagnosis import diagnose

    with progress_bar("checking"):
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
    for name, lines in (("problems", problems), ("suggestions", advice)):
        if lines:
            console.print(Text(name, style=ACCENT))
            console.print(
                indented(Text("\n").join(Text(f"- {printable(line)}") for line in lines)), soft_wrap=True
            )
    if not problems:
        console.print("tempo is ready to use.")
