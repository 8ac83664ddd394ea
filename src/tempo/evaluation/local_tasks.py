"""lmms-eval's own tasks, pointed at local files: prompts, scoring and generation settings stay theirs."""

from __future__ import annotations

import json
from pathlib import Path

from tempo.errors import TempoError

from .benchmarks import BENCHMARKS, LOCAL
from .layouts import Local, ReadTable, read_release

_TASK = """\
include: {include}
task: {task}
dataset_path: json
dataset_kwargs:
  data_files:
    {split}: {items}
doc_to_visual: !function tempo.evaluation.tasks.video_of
"""


def read_releases(tasks: list[str], data: Path, *, read_table: ReadTable) -> dict[str, Local]:
    """Every benchmark of `tasks` as it is below `data`; nothing is written.

    Raises:
        TempoError: a task that is none of the four, or whose release is not there.
    """
    for task in tasks:
        if task not in BENCHMARKS:
            raise TempoError(
                f"--data is for {', '.join(BENCHMARKS)}; lmms-eval fetches the data of {task} itself"
            )
    return {task: read_release(BENCHMARKS[task], data, read_table=read_table) for task in tasks}


def write_tasks(releases: dict[str, Local], folder: Path, *, lmms_eval: Path) -> list[str]:
    """Write a task for each release into `folder`, and return their names.

    They have names of their own, because lmms-eval prefers its own task where two are called alike, and asks
    the tasks that it is given as files through its older interface.

    Args:
        lmms_eval: the folder of the package, whose tasks are built upon.

    Raises:
        TempoError: this lmms-eval has no such task.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for task, release in releases.items():
        benchmark = BENCHMARKS[task]
        include = lmms_eval / "tasks" / benchmark.yaml
        if not include.is_file():
            raise TempoError(f"{lmms_eval}: has no task {benchmark.yaml}; tempo needs lmms-eval 0.7")
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
