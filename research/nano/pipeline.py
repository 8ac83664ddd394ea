"""Make tempo-nano, a step after the other.

    python -m research.nano.pipeline                                            # from nothing
    python -m research.nano.pipeline --manifest research/nano/continued.yaml    # from the weights of before
    python -m research.nano.pipeline --out runs/mine --until alignment device=cuda

A step is a recipe for the trainer of `tempo train`, or a function. A step that is done is skipped, a run that
was stopped is resumed, and a step begins when those that it needs have reached on held-out data what the
manifest asks for. `key=value` sets a field of every recipe. Started twice with one --out, two steps that do
not need each other run side by side.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tempo.console import say
from tempo.errors import TempoError
from tempo.formatting import clock
from tempo.storage.atomic_files import write_atomically
from tempo.storage.file_lock import lock
from tempo.training.config_parsing import read_recipe
from tempo.training.factories import call_factory
from tempo.training.run_dir import MODEL, RECIPE
from tempo.training.trainer import resume, train

from .machine_speed import probe
from .manifest import DEFAULT_OUT, HERE, Manifest, Step
from .stage_table import StageRecord, put_into, stage_table

STAMPS = "stamps"  # what went into each step that is begun, by its name
TABLE = "stages.md"
WAIT = 2.0  # seconds between two looks at steps that another process is at


def run_pipeline(
    manifest: Manifest,
    out: Path,
    overrides: Sequence[str] = (),
    *,
    by_step: Mapping[str, Sequence[str]] | None = None,
    until: str | None = None,
) -> None:
    """Run the steps of a manifest that are not done, each into the folder of its name under `out`.

    Other processes may be at the same `out`: each takes the next step that is ready and not taken.

    Args:
        overrides: `key=value` for every recipe.
        by_step: more of them, for single recipes.
        until: the step that is wanted, with all that it needs. None: the last one.

    Raises:
        TempoError: an input or something that a step needs is missing, a step that is begun was of another
            recipe, or one does not reach what the next step needs.
    """
    manifest.check_inputs()
    by_step = by_step or {}
    hashes = manifest.hashes(overrides, by_step)
    left = {step.name: step for step in manifest.until(until or manifest.steps[-1].name)}
    waits = False
    while left:
        ready = [step for step in left.values() if not manifest.needs(step) & left.keys()]
        for step in ready:
            with _taken(step, out) as mine:
                if mine:
                    _stamp(step, out, hashes[step.name])
                    _run_step(step, out, [*overrides, *step.set, *by_step.get(step.name, ())])
                    write_atomically(out / TABLE, stage_table(manifest, out) + "\n")
                    _check_reached(step, out)
                    del left[step.name]
                    break
        else:
            if not waits:
                say(f"{', '.join(step.name for step in ready)}: another process is at it")
            waits = True
            time.sleep(WAIT)


@contextmanager
def _taken(step: Step, out: Path) -> Iterator[bool]:
    """Take a step, unless another process has taken it; where there are no locks, it is ours."""
    path = out / STAMPS / f"{step.name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        yield lock(file, wait=False) is not False


def _check_reached(step: Step, out: Path) -> None:
    """Raises TempoError if held-out data say that nothing should be built upon a step."""
    record = StageRecord.read(out / step.name)
    if step.reach and (missed := step.missed(record.best if record else {})):
        raise TempoError(f"{step.name}: {missed}; give it more steps, or the manifest another bound")


def _stamp(step: Step, out: Path, wanted: str) -> None:
    """Note what goes into a step, or make sure that it is what went into it."""
    stamp, folder = out / STAMPS / step.name, out / step.name
    if not folder.exists():
        stamp.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(stamp, wanted)
    elif not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        raise TempoError(
            f"{folder}: was made of something else (its recipe, overrides, inputs or a step before it have "
            f"changed); remove it to make it again, or name another --out"
        )


def _run_step(step: Step, out: Path, overrides: Sequence[str]) -> None:
    """Run a step, or what is left of it."""
    folder = out / step.name
    if step.recipe is None:
        if folder.exists():
            say(f"{step.name}: done")
            return
        assert step.call is not None
        say(f"{step.name}: {step.call}")
        part = folder.with_name(f"{step.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        call_factory(step.call, step.name, part, options=_placed(step.options, out))
        part.rename(folder)
    elif (folder / MODEL).is_dir():
        say(f"{step.name}: done")
    elif (folder / RECIPE).is_file():
        say(f"{step.name}: resumed")
        resume(folder)
    else:
        say(f"{step.name}: {step.recipe}.yaml")
        placed = out / "recipes" / f"{step.name}.yaml"
        placed.parent.mkdir(parents=True, exist_ok=True)
        placed.write_text(step.text.replace(f"{DEFAULT_OUT}/", f"{out}/"), encoding="utf-8")
        train(read_recipe(placed, [f"out={folder}", *overrides]))


def _placed(value: Any, out: Path) -> Any:
    """Options with the paths under `DEFAULT_OUT` under `out`."""
    if isinstance(value, str):
        return value.replace(f"{DEFAULT_OUT}/", f"{out}/")
    if isinstance(value, list):
        return [_placed(one, out) for one in value]
    return {key: _placed(one, out) for key, one in value.items()} if isinstance(value, dict) else value


def expected_time(manifest: Manifest, out: Path, until: str, *, device: str = "auto") -> str:
    """How long what is left takes on this machine, by a probe of its speed, and of which steps."""
    slower = probe(device) / manifest.probe_seconds
    left = [
        step
        for step in manifest.until(until)
        if not (out / step.name / MODEL).is_dir() and (step.recipe or not (out / step.name).exists())
    ]
    told = ", ".join(f"{step.name} {clock(60 * step.minutes * slower)}" for step in left if step.minutes)
    total = clock(60 * slower * sum(step.minutes for step in left))
    left_of = f"{len(left)} of {len(manifest.steps)} steps are left"
    return f"{left_of}, about {total} on this machine: {told}" if told else left_of


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path(DEFAULT_OUT), help="folder of all runs")
    parser.add_argument("--manifest", type=Path, default=HERE / "pipeline.yaml", help="the steps")
    parser.add_argument("--until", metavar="STEP", help="the step to come to (default: the last one)")
    parser.add_argument("--estimate", action="store_true", help="say how long it takes, and stop")
    parser.add_argument("--docs", type=Path, metavar="PAGE", help="write the table of stages there, and stop")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="fields of every recipe")
    args = parser.parse_args()
    manifest = Manifest.read(args.manifest)
    names = [step.name for step in manifest.steps]
    until = args.until or names[-1]
    if until not in names:
        parser.error(f"--until {until}: the steps are {', '.join(names)}")
    if args.docs is not None:
        put_into(args.docs, stage_table(manifest, args.out))
        return
    device = next((one.partition("=")[2] for one in args.overrides if one.startswith("device=")), "auto")
    say(expected_time(manifest, args.out, until, device=device))
    if not args.estimate:
        try:
            run_pipeline(manifest, args.out, args.overrides, until=until)
        except TempoError as error:
            raise SystemExit(f"error: {error}") from None
        except KeyboardInterrupt:
            say("stopped; the same command goes on from here")
            raise SystemExit(130) from None


if __name__ == "__main__":
    main()
