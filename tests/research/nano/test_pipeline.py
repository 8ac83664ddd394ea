"""Several processes at one folder of runs."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import meeting_steps

from research.nano.manifest import Manifest, Step
from research.nano.pipeline import run_pipeline


def test_steps_that_do_not_need_each_other_run_side_by_side(tmp_path: Path) -> None:
    """Each step runs once, and the two first at the same time: each waits there for the other."""
    steps = [Step(name, call="meeting_steps:meet", options={"name": name}) for name in ("one", "other")]
    needed = [f"runs/nano/{step.name}" for step in steps]
    last = Step("last", call="meeting_steps:gather", options={"steps": needed})
    manifest = Manifest((*steps, last), probe_seconds=1.0)
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(run_pipeline, manifest, tmp_path) for _ in range(2)]
        for run in runs:
            run.result(timeout=120)
    assert sorted(meeting_steps.RUN[:2]) == ["one", "other"]
    assert meeting_steps.RUN[2:] == ["gather"]
