"""Write variants of lmms-eval's tasks that read local files; prompts and scoring stay lmms-eval's."""

from __future__ import annotations

import json
from pathlib import Path

from tempo.errors import TempoError

from .benchmarks import BENCHMARKS, LOCAL
from .layouts import LocalRelease, ReadTable, read_release

_TASK = """\
include: {include}
task: {task}
dataset_path: json
dataset_kwargs:
  data_files:
    {split}: {items}
doc_to_visual: !function tempo.evaluation.tasks.video_of
"""


def read_releases(tasks: list[str], data: Path, *, read_table: ReadTable) -> dict[str, LocalRelease]:
    """Read the releases of all TASKS below DATA.

    Raises:
        TempoError: a task is none of the four benchmarks, or its release is missing.
    """
    for task in tasks:
        if task not in BENCHMARKS:
            raise TempoError(
                f"--data supports {', '.join(BENCHMARKS)}; run {task} without it, with data from the Hub"
            )
    return {task: read_release(BENCHMARKS[task], data, read_table=read_table) for task in tasks}


def write_tasks(releases: dict[str, LocalRelease], folder: Path, *, lmms_eval: Path) -> list[str]:
    """Write a task for each release to FOLDER, and return their names.

    The names differ from lmms-eval's own: of two tasks with one name, it prefers its own, and it runs tasks
    that are given as files through its older interface.

    Args:
        lmms_eval: the folder of the lmms-eval package, whose tasks are included.

    Raises:
        TempoError: this version of lmms-eval lacks a task.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for task, release in releases.items():
        benchmark = BENCHMARKS[task]
        include = lmms_eval / "tasks" / benchmark.yaml
        if not include.is_file():
            raise TempoError(f"{lmms_eval}: the task {benchmark.yaml} is missing; install lmms-eval 0.7")
        items = folder / f"{task}.jsonl"
        items.write_text(
            "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in release.items), encoding="utf-8"
        )
        file = folder / f"{task}{LOCAL}.yaml"
        values = {
            "include": str(include),
            "task": task + LOCAL,
            "split": benchmark.split,
            "items": str(items),
        }
        # A JSON string is a YAML string.
        file.write_text(_TASK.format(**{name: json.dumps(text) for name, text in values.items()}), "utf-8")
        written.append(task + LOCAL)
    return written
