"""Make tempo-nano from nothing, a step after the other.

    python -m research.nano.pipeline
    python -m research.nano.pipeline --out runs/mine --until alignment device=cuda

The steps are in pipeline.yaml: recipes for the trainer of `tempo train`, and functions between them. A step
that is done is skipped, and a run that was stopped is resumed. `key=value` sets a field of every recipe.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tempo.console import say
from tempo.training.config_parsing import read_recipe
from tempo.training.factories import call_factory
from tempo.training.run_dir import MODEL, RECIPE
from tempo.training.trainer import resume, train

HERE = Path(__file__).parent
DEFAULT_OUT = "runs/nano"  # as recipes and the manifest name it


@dataclass(frozen=True)
class Step:
    """A recipe, or a function that is called with a folder to write and its options."""

    name: str
    recipe: str | None = None
    call: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


def read_steps(manifest: Path) -> list[Step]:
    """The steps of a manifest, in order."""
    found = yaml.safe_load(manifest.read_text(encoding="utf-8"))["steps"]
    return [Step(**{"name": one.get("recipe"), **one}) for one in found]


def run_step(step: Step, out: Path, overrides: Sequence[str] = ()) -> None:
    """Run a step into the folder of its name under `out`, or what is left of it.

    Raises:
        TempoError: something that it needs is missing or does not work.
    """
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
        placed = out / "recipes" / f"{step.recipe}.yaml"
        placed.parent.mkdir(parents=True, exist_ok=True)
        text = (HERE / "recipes" / placed.name).read_text(encoding="utf-8")
        placed.write_text(text.replace(f"{DEFAULT_OUT}/", f"{out}/"), encoding="utf-8")
        train(read_recipe(placed, overrides))


def _placed(value: Any, out: Path) -> Any:
    """Options with the paths under `DEFAULT_OUT` under `out`."""
    if isinstance(value, str):
        return value.replace(f"{DEFAULT_OUT}/", f"{out}/")
    if isinstance(value, list):
        return [_placed(one, out) for one in value]
    return {key: _placed(one, out) for key, one in value.items()} if isinstance(value, dict) else value


def run_pipeline(
    steps: Sequence[Step],
    out: Path,
    overrides: Sequence[str] = (),
    *,
    by_step: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Run all steps.

    Args:
        overrides: `key=value` for every recipe.
        by_step: more of them, for single recipes.
    """
    for step in steps:
        run_step(step, out, [*overrides, *(by_step or {}).get(step.name, ())])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path(DEFAULT_OUT), help="folder of all runs")
    parser.add_argument("--manifest", type=Path, default=HERE / "pipeline.yaml", help="the steps")
    steps = read_steps(HERE / "pipeline.yaml")
    parser.add_argument("--until", metavar="STEP", default=steps[-1].name, help="the last step to run")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="fields of every recipe")
    args = parser.parse_args()
    steps = read_steps(args.manifest)
    names = [step.name for step in steps]
    if args.until not in names:
        parser.error(f"--until {args.until}: the steps are {', '.join(names)}")
    run_pipeline(steps[: names.index(args.until) + 1], args.out, args.overrides)


if __name__ == "__main__":
    main()
