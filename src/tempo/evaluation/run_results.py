"""Read the folder of a finished run: the verdict on each item, and lmms-eval's own metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tempo.errors import TempoError
from tempo.storage.json_lines import numbered_lines

from . import manifest
from .benchmarks import BENCHMARKS, LOCAL, Benchmark
from .item_log import ItemRecord, read_records
from .launch import results_of
from .scoring import (
    Odd,
    Outcome,
    odd,
    outcome,
)


@dataclass(frozen=True)
class Scored:
    """An item with its outcome, and how its answer is degenerate, if it is."""

    record: ItemRecord
    outcome: Outcome
    odd: Odd | None

    @property
    def answered(self) -> bool:
        return self.outcome != "error"

    @property
    def right(self) -> bool:
        return self.outcome == "right"


@dataclass(frozen=True)
class TaskMetric:
    """A metric that lmms-eval computed over all items, those with errors and guesses included."""

    metric: str
    value: float


@dataclass(frozen=True)
class TaskResult:
    """One task of a run; if it is none of the four, `benchmark` is None and `items` is empty."""

    task: str
    benchmark: Benchmark | None
    items: list[Scored]
    records: list[ItemRecord]
    own: list[TaskMetric]


@dataclass(frozen=True)
class Run:
    """A finished run, named after its folder."""

    name: str
    folder: Path
    manifest: Mapping[str, Any]
    tasks: dict[str, TaskResult]

    @property
    def budget(self) -> int | None:
        """Memory tokens for a whole video."""
        given = self.manifest["settings"].get("budget")
        return given if given is not None else self.worker.get("model_budget")

    @property
    def worker(self) -> Mapping[str, Any]:
        """The model and the machine of the run, as the manifest records them."""
        return self.manifest.get("worker", {})


def read_run(folder: Path) -> Run:
    """Read the folder of a run.

    Raises:
        TempoError: it is not the folder of a run, the run is not finished, or files are missing.
    """
    values = manifest.read(folder)
    found = results_of(folder)
    if not found:
        raise TempoError(f"{folder}: the run is not finished; run the command that began it again to resume")
    latest = found[-1]
    results = _json(latest)["results"]
    records = read_records(folder)
    prefix = latest.name.removesuffix("results.json")
    tasks = {}
    asked_for = list(values.get("tasks", []))
    order = sorted(results, key=lambda name: _place(name.removesuffix(LOCAL), asked_for))
    for name in order:
        samples = latest.with_name(f"{prefix}samples_{name}.jsonl")
        if samples.is_file():
            tasks[name.removesuffix(LOCAL)] = _task(name, results[name], samples, records)
    return Run(folder.resolve().name, folder, values, tasks)


def _place(task: str, order: list[str]) -> int:
    return order.index(task) if task in order else len(order)


def _task(
    name: str, figures: Mapping[str, Any], samples: Path, records: Mapping[tuple[str, int], ItemRecord]
) -> TaskResult:
    plain = name.removesuffix(LOCAL)
    benchmark = BENCHMARKS.get(plain)
    items, its_records = [], []
    for _, line in numbered_lines(samples):
        logged = json.loads(line)
        record = records.get((name, logged["doc_id"]))
        if record is None:
            raise TempoError(
                f"{samples}: item {logged['doc_id']} has no record in answers-*.jsonl; evaluate again"
            )
        its_records.append(record)
        if benchmark is not None:
            score = logged.get(benchmark.score)
            items.append(Scored(record, outcome(benchmark, record, score), odd(record)))
    return TaskResult(plain, benchmark, items, its_records, _own(figures))


def _own(figures: Mapping[str, Any]) -> list[TaskMetric]:
    """lmms-eval's metrics of a task, without their standard errors."""
    return [
        TaskMetric(key.partition(",")[0], float(value))
        for key, value in figures.items()
        if "," in key and "_stderr" not in key and isinstance(value, int | float)
    ]


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TempoError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from error
