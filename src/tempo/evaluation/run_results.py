"""A run's folder → what became of each of its items."""

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
from .item_log import Record, read_records
from .launch import results_of
from .scoring import (
    Odd,
    Outcome,
    odd,
    outcome,
)


@dataclass(frozen=True)
class Scored:
    """An item, what became of it, and whether its answer is degenerate."""

    record: Record
    outcome: Outcome
    odd: Odd | None

    @property
    def answered(self) -> bool:
        return self.outcome != "error"

    @property
    def right(self) -> bool:
        return self.outcome == "right"


@dataclass(frozen=True)
class Own:
    """A figure of lmms-eval's own: of all items, those without an answer and guessed ones included."""

    metric: str
    value: float


@dataclass(frozen=True)
class TaskResult:
    """One task of a run. `benchmark` is None, and there are no `items`, where it is none of the four."""

    task: str
    benchmark: Benchmark | None
    items: list[Scored]
    records: list[Record]
    own: list[Own]


@dataclass(frozen=True)
class Run:
    """A finished run. `name` is that of its folder."""

    name: str
    folder: Path
    manifest: Mapping[str, Any]
    tasks: dict[str, TaskResult]

    @property
    def budget(self) -> int | None:
        """Memory tokens for a video."""
        given = self.manifest["settings"].get("budget")
        return given if given is not None else self.worker.get("model_budget")

    @property
    def worker(self) -> Mapping[str, Any]:
        """What is known of the process that computed."""
        return self.manifest.get("worker", {})


def read_run(folder: Path) -> Run:
    """Read what a run left behind.

    Raises:
        TempoError: it is none, it is not finished, or something of it is missing.
    """
    values = manifest.read(folder)
    found = results_of(folder)
    if not found:
        raise TempoError(f"{folder}: not finished; give the command again that began it, and it goes on")
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
    name: str, figures: Mapping[str, Any], samples: Path, records: Mapping[tuple[str, int], Record]
) -> TaskResult:
    plain = name.removesuffix(LOCAL)
    benchmark = BENCHMARKS.get(plain)
    items, its_records = [], []
    for _, line in numbered_lines(samples):
        logged = json.loads(line)
        record = records.get((name, logged["doc_id"]))
        if record is None:
            raise TempoError(f"{samples}: item {logged['doc_id']} has no line in answers-*.jsonl beside it")
        its_records.append(record)
        if benchmark is not None:
            score = logged.get(benchmark.score)
            items.append(Scored(record, outcome(benchmark, record, score), odd(record)))
    return TaskResult(plain, benchmark, items, its_records, _own(figures))


def _own(figures: Mapping[str, Any]) -> list[Own]:
    """lmms-eval's figures of a task, without their errors."""
    return [
        Own(key.partition(",")[0], float(value))
        for key, value in figures.items()
        if "," in key and "_stderr" not in key and isinstance(value, int | float)
    ]


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TempoError(f"{path}: not readable ({str(error).splitlines()[0]})") from error
