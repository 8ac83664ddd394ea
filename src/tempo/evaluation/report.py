"""A report on runs, as Markdown, as a page with plots, and as data."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

from tempo.errors import TempoError
from tempo.evaluation.page import page
from tempo.evaluation.results import Run
from tempo.evaluation.summary import Share, Summary
from tempo.evaluation.tables import Table, summaries_of, tables

STEM = "report"


def markdown(runs: Sequence[Run]) -> str:
    """The report as Markdown."""
    return "\n".join(["# Evaluation", "", *(_table(table) for table in tables(runs))]).rstrip() + "\n"


def data(runs: Sequence[Run]) -> dict[str, Any]:
    """The same figures as JSON values: by task and run."""
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
    """Write report.md, report.html and report.json into `folder`, and return their paths.

    Raises:
        TempoError: they cannot be written.
    """
    texts = {
        "md": markdown(runs),
        "html": page(runs),
        "json": json.dumps(data(runs), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
    }
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for suffix, text in texts.items():
            path = folder / f"{STEM}.{suffix}"
            part = folder / f"{STEM}.{suffix}.part"
            part.write_text(text, encoding="utf-8")
            os.replace(part, path)
            paths.append(path)
    except OSError as error:
        raise TempoError(f"{folder}: the report cannot be written ({error.strerror or error})") from error
    return paths


def _table(table: Table) -> str:
    lines = [f"## {table.title}", ""]
    lines.append("| " + " | ".join(_cell(cell) for cell in table.head) + " |")
    lines.append("|---" * len(table.head) + "|")
    lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in table.rows]
    lines += ["", *(f"{note}\n" for note in table.notes)] if table.notes else [""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _values(one: Summary) -> dict[str, Any]:
    values = {field.name: getattr(one, field.name) for field in fields(one) if field.name != "benchmark"}
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    """JSON values; what is not a number is null."""
    if isinstance(value, Share):
        return {"right": value.right, "total": value.total, "score": _plain(value.score)}
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
