"""From an order to a finished run: check the files, write the manifest, call lmms-eval, count errors."""

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
from .layouts import Local
from .local_tasks import read_releases, write_tasks
from .settings import Settings

LISTED = 10
"""How many missing files a message names."""
MISSING = "missing.txt"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be run: see `tempo eval --help`."""

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
    def debugging(self) -> bool:
        return DEBUG in self.names

    @property
    def items(self) -> int | None:
        """Items of each task at most."""
        return min(self.limit or DEBUG_ITEMS, DEBUG_ITEMS) if self.debugging else self.limit


def check(order: Order) -> str:
    """What there is below the order's data, and what is missing, as text.

    Raises:
        TempoError: files are missing, or annotations.
    """
    assert order.data is not None
    # Only Parquet needs the other environment: files can be looked for before anything is installed.
    releases = read_releases(
        order.tasks, order.data, read_table=lambda file: find(order.python).read_parquet(file)
    )
    _refuse_missing(releases, 0, order)
    return "\n".join(
        f"{BENCHMARKS[task].title}: {len(release.items)} questions, every video is there"
        for task, release in releases.items()
    )


def carry_out(order: Order, *, say: Callable[[str], None], progress: Callable[[int, int], None]) -> None:
    """Run an order, or go on with it where it was ended.

    Args:
        say: told once what a user should know.
        progress: called with (items answered, items to answer) while their number is known.

    Raises:
        TempoError: something is missing, differs from what the run was begun with, or failed.
    """
    environment = find(order.python)
    data = order.data
    if data is None and order.debugging:
        data = _draw(order.folder / "drawn")
    releases = {} if data is None else read_releases(order.tasks, data, read_table=environment.read_parquet)
    _refuse_missing(releases, order.max_errors, order)
    goes_on = manifest.begin(order.folder, _manifest(order, data, environment))
    if goes_on:
        say(f"{order.folder}: going on with the run that is there")
    names = order.tasks
    include = None
    if releases:
        include = order.folder / "tasks"
        names = write_tasks(releases, include, lmms_eval=environment.folder)
    job = launch.Job(
        folder=order.folder,
        tasks=names,
        settings=order.settings,
        include=include,
        limit=order.items,
        seed=order.seed,
        processes=order.processes,
        max_errors=order.max_errors,
        offline=data is not None and _is_here(order.settings),
    )
    total = sum(min(len(one.items), order.items or len(one.items)) for one in releases.values())
    total -= sum(record.error is None for record in read_records(order.folder).values())
    spent = manifest.read(order.folder).get("seconds", 0.0)
    begun = time.monotonic()
    # The number of items of a task that lmms-eval fetches is not known before it does.
    launch.run(job, environment, progress=lambda done: progress(done, total) if 0 < done < total else None)
    errors = launch.failed_items(order.folder)
    manifest.finish(order.folder, seconds=round(spent + time.monotonic() - begun, 1), errors=len(errors))
    if len(errors) > order.max_errors:
        raise TempoError(
            f"{len(errors)} items have no answer and --max-errors is {order.max_errors}; "
            f"the first: {errors[0]}"
        )


def _manifest(order: Order, data: Path | None, environment: Environment) -> dict[str, object]:
    return {
        "tasks": order.tasks,
        "data": None if data is None else str(data.resolve()),
        "settings": order.settings.to_json(),
        "limit": order.items,
        "seed": order.seed,
        "lmms_eval": environment.version,
        "processes": order.processes,
        "max_errors": order.max_errors,
    }


def _refuse_missing(releases: Mapping[str, Local], max_errors: int, order: Order) -> None:
    """Raise TempoError where more items lack their video than may."""
    missing = [path for release in releases.values() for path in release.missing]
    lost = sum(release.lost for release in releases.values())
    if lost <= max_errors:
        return
    listed = ", ".join(missing[:LISTED])
    if len(missing) > LISTED:
        order.folder.mkdir(parents=True, exist_ok=True)
        whole = order.folder / MISSING
        whole.write_text("".join(f"{path}\n" for path in missing), encoding="utf-8")
        listed += f" and {len(missing) - LISTED} more, all in {whole}"
    raise TempoError(
        f"videos that are missing: {len(missing)}, for {lost} questions: {listed}; "
        f"add them, or allow --max-errors {lost}"
    )


def _draw(folder: Path) -> Path:
    """Ten items of a drawn Video-MME, so that `debug` needs no data."""
    from .miniature import draw_films, write_videomme

    if not (folder / "Video-MME" / "videomme").is_dir():
        films = draw_films(folder / "films", films=4, questions=3, seed="debug")
        write_videomme(folder / "Video-MME", films)
    return folder


def _is_here(settings: Settings) -> bool:
    """Whether the model needs nothing from the hub."""
    return all(name is None or Path(name).is_dir() for name in (settings.pretrained, settings.base))
