"""Run an evaluation: check the data, write the manifest, call lmms-eval, count the errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tempo.errors import TempoError

from . import launch, manifest
from .benchmarks import (
    BENCHMARKS,
    DEBUG,
    DEBUG_ITEMS,
    tasks_of,
)
from .environment import Environment, find
from .item_log import read_records
from .layouts import LocalRelease
from .local_tasks import read_releases, write_tasks
from .settings import Settings

MAX_LISTED = 10  # missing files that an error names
MISSING = "missing.txt"


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """What to evaluate on what; see `tempo eval --help`."""

    names: list[str]
    settings: Settings
    folder: Path
    data: Path | None = None
    limit: int | None = None
    seed: int = 0
    processes: int = 1
    max_errors: int = 0
    python: str | None = None

    @property
    def tasks(self) -> list[str]:
        return tasks_of(self.names)

    @property
    def is_debug(self) -> bool:
        return DEBUG in self.names

    @property
    def items(self) -> int | None:
        """The most items of each task, or None for all."""
        return min(self.limit or DEBUG_ITEMS, DEBUG_ITEMS) if self.is_debug else self.limit


def check(spec: RunSpec) -> str:
    """Check that the data is complete, and return a summary.

    Raises:
        TempoError: videos or annotations are missing.
    """
    assert spec.data is not None
    # Only Parquet files need the environment of lmms-eval; the check works before it is installed.
    releases = read_releases(
        spec.tasks, spec.data, read_table=lambda file: find(spec.python).read_parquet(file)
    )
    _check_missing(releases, 0, spec)
    return "\n".join(
        f"{BENCHMARKS[task].title}: {len(release.items)} questions, no video is missing"
        for task, release in releases.items()
    )


def evaluate(spec: RunSpec, *, say: Callable[[str], None], progress: Callable[[int, int], None]) -> None:
    """Run an evaluation, or resume it after an interruption.

    Args:
        say: called with remarks for the user.
        progress: called with (items answered, items to answer) once their number is known.

    Raises:
        TempoError: data is missing, the run was begun with other settings, or something failed.
    """
    environment = find(spec.python)
    data = spec.data
    if data is None and spec.is_debug:
        data = _render_debug_release(spec.folder / "drawn")
    releases = {} if data is None else read_releases(spec.tasks, data, read_table=environment.read_parquet)
    _check_missing(releases, spec.max_errors, spec)
    if manifest.begin(spec.folder, _manifest(spec, data, environment)):
        say(f"{spec.folder}: resuming the run in this folder")
    names = spec.tasks
    include = None
    if releases:
        include = spec.folder / "tasks"
        names = write_tasks(releases, include, lmms_eval=environment.folder)
    job = launch.Job(
        folder=spec.folder,
        tasks=names,
        settings=spec.settings,
        include=include,
        limit=spec.items,
        seed=spec.seed,
        processes=spec.processes,
        max_errors=spec.max_errors,
        offline=data is not None and _is_local(spec.settings),
    )
    total = sum(min(len(one.items), spec.items or len(one.items)) for one in releases.values())
    total -= sum(record.error is None for record in read_records(spec.folder).values())
    spent = manifest.read(spec.folder).get("seconds", 0.0)
    begun = time.monotonic()
    # The number of items is unknown for tasks whose data lmms-eval downloads.
    launch.run(job, environment, progress=lambda done: progress(done, total) if 0 < done < total else None)
    errors = launch.failed_items(spec.folder)
    manifest.finish(spec.folder, seconds=round(spent + time.monotonic() - begun, 1), errors=len(errors))
    if len(errors) > spec.max_errors:
        raise TempoError(
            f"{len(errors)} items have no answer and --max-errors is {spec.max_errors}; "
            f"the first: {errors[0]}"
        )


def _manifest(spec: RunSpec, data: Path | None, environment: Environment) -> dict[str, object]:
    return {
        "tasks": spec.tasks,
        "data": None if data is None else str(data.resolve()),
        "settings": spec.settings.to_json(),
        "limit": spec.items,
        "seed": spec.seed,
        "lmms_eval": environment.version,
        "processes": spec.processes,
        "max_errors": spec.max_errors,
    }


def _check_missing(releases: Mapping[str, LocalRelease], max_errors: int, spec: RunSpec) -> None:
    """Raise TempoError if more items lack their video than MAX_ERRORS allows."""
    missing = [path for release in releases.values() for path in release.missing]
    lost = sum(release.lost for release in releases.values())
    if lost <= max_errors:
        return
    listed = ", ".join(missing[:MAX_LISTED])
    if len(missing) > MAX_LISTED:
        spec.folder.mkdir(parents=True, exist_ok=True)
        whole = spec.folder / MISSING
        whole.write_text("".join(f"{path}\n" for path in missing), encoding="utf-8")
        listed += f" and {len(missing) - MAX_LISTED} more, all in {whole}"
    raise TempoError(
        f"missing videos: {len(missing)}, for {lost} questions: {listed}; "
        f"add them, or pass --max-errors {lost}"
    )


def _render_debug_release(folder: Path) -> Path:
    """Write ten items of a synthetic Video-MME, so that `debug` needs no data."""
    from .miniature import render_videos, write_videomme

    if not (folder / "Video-MME" / "videomme").is_dir():
        videos = render_videos(folder / "films", count=4, questions=3, seed="debug")
        write_videomme(folder / "Video-MME", videos)
    return folder


def _is_local(settings: Settings) -> bool:
    """Whether the model needs nothing from the Hub."""
    return all(name is None or Path(name).is_dir() for name in (settings.pretrained, settings.base))
