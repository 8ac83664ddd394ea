"""What is where in a run's folder, and how one begins."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from tempo.errors import TempoError, UsageError

from .config import Recipe
from .config_parsing import write_recipe

RECIPE, LOG, STATES, MODEL, ADAPTER = "recipe.yaml", "log.jsonl", "checkpoints", "model", "adapter"
PART = f"{MODEL}.part"  # the model while it is written


def begin(out: Path, recipe: Recipe) -> None:
    """Make the folder of a run, with its recipe in it whole.

    Raises:
        TempoError: it cannot be written.
        UsageError: there is a run in it already.
    """
    path = out / RECIPE
    if path.exists():
        raise UsageError(f"{out}: there is a run already; go on with --resume {out}, or say out=ANOTHER")
    try:
        out.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        write_recipe(anchored(recipe), part)
        os.replace(part, path)
    except OSError as error:
        raise TempoError(f"{out}: could not be written ({error.strerror or error})") from error


def anchored(recipe: Recipe) -> Recipe:
    """The recipe with whole paths, so that its run can be resumed from anywhere."""

    def whole_path(name: str | None) -> str | None:
        return name if name is None or not Path(name).exists() else str(Path(name).absolute())

    model = {
        key: whole_path(getattr(recipe.model, key)) for key in ("start", "base", "compressor", "decoder")
    }
    data = tuple(
        replace(source, path=whole_path(source.path), media=whole_path(source.media))
        for source in recipe.data
    )
    return replace(recipe, model=replace(recipe.model, **model), data=data)  # type: ignore[arg-type]
