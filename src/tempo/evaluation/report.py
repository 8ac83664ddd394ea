"""Write the report on one or more runs as Markdown, as HTML with plots, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from tempo.reporting.html_page import to_page
from tempo.reporting.report_files import to_json, write_files
from tempo.reporting.tables import to_markdown

from .plots import figures
from .report_tables import summaries_of, tables
from .run_results import Run
from .summary import Accuracy, Summary

TITLE = "Evaluation"
STEM = "report"


def verdicts(runs: Sequence[Run]) -> list[str]:
    """What each run came to, in a line: whether it ran, and how many answers are there and right."""
    by_task = summaries_of(runs)
    lines = []
    for number, run in enumerate(runs):
        found = [one for summaries in by_task.values() if (one := summaries[number]) is not None]
        answered = sum(one.shares.total for one in found)
        errors = sum(count for one in found for _, count in one.errors)
        right = sum(one.shares.right for one in found)
        told = f"{answered} answered, {errors} errors, {right} right"
        whole = run.manifest.get("limit") is None
        opening = "Finished" if whole else "It runs here"
        if errors or not answered:
            opening = "Finished with errors" if whole else "It does not run well here"
        name = f"{run.name}: " if len(runs) > 1 else ""
        lines.append(f"{name}{opening}: {told}.")
    return lines


def markdown(runs: Sequence[Run]) -> str:
    """The report as Markdown."""
    return to_markdown(TITLE, tables(runs), before=verdicts(runs))


def page(runs: Sequence[Run]) -> str:
    """The report as HTML."""
    return to_page(TITLE, figures(runs), tables(runs), before=verdicts(runs))


def data(runs: Sequence[Run]) -> dict[str, Any]:
    """The report as JSON values, by task and run."""
    return {
        "runs": {run.name: dict(run.manifest) for run in runs},
        "tasks": {
            task: {
                run.name: _values(one) for run, one in zip(runs, summaries, strict=True) if one is not None
            }
            for task, summaries in summaries_of(runs).items()
        },
    }


def write(runs: Sequence[Run], folder: Path) -> list[Path]:
    """Write report.md, report.html and report.json to FOLDER, and return their paths.

    Raises:
        TempoError: they cannot be written.
    """
    texts = {"md": markdown(runs), "html": page(runs), "json": to_json(data(runs))}
    return write_files(folder, {f"{STEM}.{suffix}": text for suffix, text in texts.items()})


def _values(one: Summary) -> dict[str, Any]:
    values = {field.name: getattr(one, field.name) for field in fields(one) if field.name != "benchmark"}
    for name in ("groups", "durations"):
        values[name] = {part: _share(share) for part, share in values[name]}
    return values | {"shares": _share(one.shares), "errors": dict(one.errors)}


def _share(share: Accuracy) -> dict[str, Any]:
    return {**asdict(share), "score": share.score}
