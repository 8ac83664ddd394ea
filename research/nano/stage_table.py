"""The table of the stages of a pipeline, from the logs that they wrote."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tempo.training.run_dir import LOG, RECIPE

from .manifest import Manifest, Step

BEGIN, END = "<!-- stages: written by research.nano.pipeline -->", "<!-- end of stages -->"


@dataclass(frozen=True)
class StageRecord:
    """What the log of a stage tells.

    Attributes:
        seconds: of all its steps, without validation.
        before, best: the first validation and the one that the written model is of.
    """

    steps: int
    seconds: float
    before: dict[str, float]
    best: dict[str, float]

    @classmethod
    def read(cls, folder: Path) -> StageRecord | None:
        """The record of a run's folder; None where nothing is logged."""
        path = folder / LOG
        if not (folder / RECIPE).is_file() or not path.is_file():
            return None
        lines: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
        taken = [one for one in lines if "loss" in one]
        validations = [one["validation"] for one in lines if "validation" in one]
        return cls(
            steps=len(taken),
            seconds=sum(one.get("seconds", 0.0) for one in taken),
            before=validations[0] if validations else {},
            best=min(validations, key=lambda one: one["loss"]) if validations else {},
        )


def stage_table(manifest: Manifest, out: Path) -> str:
    """A Markdown table: what each step trains and learns, its steps and time, and validation before and
    after."""
    head = ("step", "trains", "learns", "steps", "minutes", "on held-out data, before → after")
    rows = [
        _row(step, StageRecord.read(out / step.name), (out / step.name).exists()) for step in manifest.steps
    ]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ("---",) * len(head), *rows))


def _row(step: Step, record: StageRecord | None, done: bool) -> tuple[str, ...]:
    trains, learns = step.trains or "–", step.learns
    if record is None:
        return (f"`{step.name}`", trains, learns, "–", "–" if done else "not run", "")
    shown = ["loss", *(name for name in step.reach if name != "loss")]
    told = [
        f"{name} {record.before[name]:.3f} → {record.best[name]:.3f}"
        for name in shown
        if name in record.before and name in record.best
    ]
    return (
        f"`{step.name}`",
        trains,
        learns,
        str(record.steps),
        f"{record.seconds / 60:.0f}",
        ", ".join(told),
    )


def put_into(page: Path, text: str) -> None:
    """Replace what stands between the two marks of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
