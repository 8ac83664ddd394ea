"""Make tempo-nano, a step after the other.

    python -m research.nano.pipeline                                            # from nothing
    python -m research.nano.pipeline --manifest research/nano/continued.yaml    # from the weights of before
    python -m research.nano.pipeline --out runs/mine --until alignment device=cuda

A step is a recipe for the trainer of `tempo train`, or a function. A step that is done is skipped, a run that
was stopped is resumed, and the next step begins when the one before has reached on held-out data what the
manifest asks for. `key=value` sets a field of every recipe.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tempo.console import say
from tempo.errors import TempoError
from tempo.formatting import clock
from tempo.storage.atomic_files import write_atomically
from tempo.training.config_parsing import read_recipe
from tempo.training.factories import call_factory
from tempo.training.run_dir import MODEL, RECIPE
from tempo.training.trainer import resume, train

from .machine_speed import probe
from .manifest import DEFAULT_OUT, HERE, Manifest, Step
from .stage_table import StageRecord, put_into, stage_table

STAMPS = "stamps"  # what went into each step that is begun, by its name
TABLE = "stages.md"


def run_pipeline(
    manifest: Manifest,
    out: Path,
    overrides: Sequence[str] = (),
    *,
    by_step: Mapping[str, Sequence[str]] | None = None,
    until: str | None = None,
) -> None:
    """Run the steps of a manifest that are not done, each into the folder of its name under `out`.

    Args:
        overrides: `key=value` for every recipe.
        by_step: more of them, for single recipes.
        until: the last step to run.

    Raises:
        TempoError: an input or something that a step needs is missing, a step that is begun was of another
            recipe, or one does not reach what the next step needs.
    """
    manifest.check_inputs()
    by_step = by_step or {}
    hashes = manifest.hashes(overrides, by_step)
    for step in manifest.steps:
        _stamp(step, out, hashes[step.name])
        _run_step(step, out, [*overrides, *step.set, *by_step.get(step.name, ())])
        write_atomically(out / TABLE, stage_table(manifest, out) + "\n")
        record = StageRecord.read(out / step.name)
        if step.reach and (missed := step.missed(record.best if record else {})):
            raise TempoError(f"{step.name}: {missed}; give it more steps, or the manifest another bound")
        if step.name == until:
            return


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
    names = [step.name for step in manifest.steps]
    left = [
        step
        for step in manifest.steps[: names.index(until) + 1]
        if not (out / step.name / MODEL).is_dir() and (step.recipe or not (out / step.name).exists())
    ]
    told = ", ".join(f"{step.name} {clock(60 * step.minutes * slower)}" for step in left if step.minutes)
    total = clock(60 * slower * sum(step.minutes for step in left))
    left_of = f"{len(left)} of {len(names)} steps are left"
    return f"{left_of}, about {total} on this machine: {told}" if told else left_of


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path(DEFAULT_OUT), help="folder of all runs")
    parser.add_argument("--manifest", type=Path, default=HERE / "pipeline.yaml", help="the steps")
    parser.add_argument("--until", metavar="STEP", help="the last step to run (default: the manifest's last)")
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
