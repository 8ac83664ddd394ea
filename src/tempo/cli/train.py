"""Train a model as a recipe says, or resume a run.

A recipe is a YAML file, or the name of a packaged one: nano/finetune, tempo-6b/finetune, tempo-6b/stage-0 to
tempo-6b/stage-3. Any field can be set on the command line. At the end OUT/model is a folder that every other
command takes as --model.

Several processes: torchrun --nproc-per-node 2 -m tempo train RECIPE (or accelerate launch -m tempo …).

Examples:
  tempo train nano/finetune data.0.path=mine.jsonl out=runs/mine
  tempo train nano/finetune schedule.epochs=3 learning_rates.decoder=1e-4
  tempo train --resume runs/mine
  tempo train --check nano/finetune data.0.path=mine.jsonl
  tempo train --fields
"""

import argparse
import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tempo.formatting import size

if TYPE_CHECKING:
    from tempo.training.config import Recipe
    from tempo.training.model_init import ModelSpec
    from tempo.training.run_dir import TrainingResult


LISTED = 50  # samples that cannot be used, of each source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare RECIPE with its overrides, and what can be done instead of training."""
    parser.add_argument(
        "recipe", metavar="RECIPE", nargs="?", help="a YAML file, or the name of a packaged recipe"
    )
    parser.add_argument(
        "overrides",
        metavar="key=value",
        nargs="*",
        help="fields of the recipe, like batch.micro_batch_size=4",
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--resume",
        metavar="RUN",
        type=Path,
        help="resume the run in this folder from its last checkpoint",
    )
    instead.add_argument(
        "--check",
        action="store_true",
        help="train nothing: check the recipe and every sample, and estimate the memory of a step",
    )
    instead.add_argument("--fields", action="store_true", help="list every field of a recipe")


def run(args: argparse.Namespace) -> None:
    """Train, check, or list the fields."""
    from tempo.errors import UsageError

    if args.fields:
        print_fields()
        return
    if args.resume is not None and args.recipe is not None:
        raise UsageError("--resume takes the recipe of the run; leave RECIPE out")
    if args.resume is None and args.recipe is None:
        raise UsageError("name a recipe, or a run with --resume (see tempo train --help)")
    from tempo.training.config_parsing import read_recipe
    from tempo.training.trainer import resume, train

    if args.resume is not None:
        report(resume(args.resume))
        return
    recipe = read_recipe(args.recipe, args.overrides)
    if args.check:
        check(recipe)
    else:
        report(train(recipe))


def print_fields() -> None:
    """Print every field of a recipe: its name, type and default, and what it means."""
    import textwrap

    from tempo.training.config import documented

    for name, kind, default, meaning in documented():
        print(f"{name}: {kind}" + (f" (default: {default})" if default else ""))
        print(textwrap.indent(textwrap.fill(meaning, 96), "    "))


def check(recipe: "Recipe") -> None:
    """Print what a recipe would train, on which data, and how much memory a step takes.

    Raises:
        TempoError: more samples are unusable than the recipe allows, or all of a source, or something is
            missing altogether.
    """
    from tempo.console import progress_bar
    from tempo.errors import TempoError
    from tempo.formatting import printable
    from tempo.training import dry_run
    from tempo.training.data.dataset import MixtureDataset
    from tempo.training.run_setup import load_data, steps_of

    spec = spec_for_check(recipe)
    dataset, held_out = load_data(recipe, spec)
    datasets: list[tuple[str, MixtureDataset]] = [("data", dataset)]
    if held_out is not None:
        datasets.append(("validation", held_out))
    sources = []
    for field, some, number in [(f, d, n) for f, d in datasets for n in range(len(d.sources))]:
        with progress_bar("reading", "records") as progress:
            source = dry_run.check_source(some, number, progress)
        sources.append(source)
        told = "generated without end" if source.records is None else f"{source.records} records"
        if source.unusable:
            told += f", of which {len(source.unusable)} cannot be used"
        print(f"{field:<12}{source.name}: {told}")
        for name, reason in islice(source.unusable.items(), LISTED):
            print(f"            {printable(f'{name} cannot be used: {reason}')}")
        if len(source.unusable) > LISTED:
            print(f"            and {len(source.unusable) - LISTED} more")
    steps = steps_of(recipe, dataset)
    print(f"schedule    {steps} steps of {recipe.batch.global_batch_size} samples")
    print_memory(recipe, spec)
    if useless := next((source for source in sources if source.useless), None):
        raise TempoError(f"{useless.name}: none of its {useless.records} records can be used; see above")
    unusable = sum(len(source.unusable) for source in sources)
    if unusable > recipe.skip_limit:
        raise TempoError(f"{unusable} records cannot be used and skip_limit is {recipe.skip_limit}")


def spec_for_check(recipe: "Recipe") -> "ModelSpec":
    """What a recipe's model is, or its architecture alone where the model is not there; then it says so.

    Raises:
        TempoError: the recipe names no architecture for that, or the model is there and cannot be right.
    """
    from tempo.errors import MissingModelError
    from tempo.formatting import printable
    from tempo.training.model_init import read_spec, spec_of_architecture

    try:
        return read_spec(recipe.model)
    except MissingModelError as error:
        if recipe.model.architecture is None:
            raise
        spec = spec_of_architecture(recipe.model)
        instead = f"checked as the architecture {recipe.model.architecture}, with tempo-nano's tokenizer"
        print(f"model       {printable(str(error))}\n            {instead}")
        return spec


def print_memory(recipe: "Recipe", spec: "ModelSpec") -> None:
    """Print the parameters of each group, and how much memory a step takes on one device."""
    from tempo.training.dry_run import estimate_memory
    from tempo.training.factories import find_factory

    memory, figures = estimate_memory(recipe, spec.config, spec.prompts)
    for group, (trained, every) in figures.items():
        share = "frozen" if not trained else f"{trained / 1e6:,.1f} M trained"
        print(f"{group:<12}{every / 1e6:,.1f} M parameters, {share}")
    if recipe.objective.factory is not None:
        find_factory(recipe.objective.factory, "objective.factory")
        print("one device  not estimated for another objective than answers")
        return
    parts = ("weights", "gradients", "optimizer_state", "chunk", "decoder", "memory_tokens")
    told = " · ".join(f"{part.replace('_', ' ')} {size(getattr(memory, part))}" for part in parts)
    print(f"one device  {size(memory.peak)}: {told}")


def report(result: "TrainingResult") -> None:
    """Say what the run came to, once."""
    if os.environ.get("RANK", "0") != "0":
        return
    written = sum(file.stat().st_size for file in result.model.rglob("*") if file.is_file())
    skipped = f", {result.skipped} samples skipped" if result.skipped else ""
    print(f"loss {result.first_loss:.4f} → {result.last_loss:.4f} in {result.steps} steps{skipped}")
    if result.best is not None:
        best = result.best
        print(f"best validation at step {best.step}: {best.metric} {best.first:.4f} → {best.value:.4f}")
        if best.step == 0:
            print("nothing learnt made it better, so the model is the one that training began with")
    print(f"{result.model}: {size(written)}; try it: tempo ask VIDEO QUESTION --model {result.model}")
