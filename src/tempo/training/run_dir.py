"""A run's folder: what is where in it, how it begins, and what it holds in the end."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from tempo.errors import TempoError, UsageError
from tempo.modeling import TempoQwenForCausalLM
from tempo.modeling.saving import save_model, write_tensors
from tempo.storage.atomic_files import replacing

from . import lora
from .config import DataConfig, Recipe
from .config_parsing import write_recipe
from .model_init import ModelSpec
from .objective import Objective
from .validation import BestCheckpoint

RECIPE, LOG, CHECKPOINTS, MODEL, ADAPTER = "recipe.yaml", "log.jsonl", "checkpoints", "model", "adapter"
PART = f"{MODEL}.part"  # the model while it is written
OBJECTIVE = "objective.safetensors"  # what the objective has beside the model, for a later run


@dataclass(frozen=True)
class TrainingResult:
    """What a run came to.

    Attributes:
        first_loss, last_loss: of its first and its last step.
        model: the folder of the model.
        best: the validation whose checkpoint the model is; None: nothing was validated.
    """

    first_loss: float
    last_loss: float
    steps: int
    skipped: int
    model: Path
    best: BestCheckpoint | None = None


def begin(out: Path, recipe: Recipe) -> None:
    """Make the folder of a run, with its recipe in it whole.

    Raises:
        TempoError: it cannot be written.
        UsageError: there is a run in it already.
    """
    path = out / RECIPE
    if path.exists():
        raise UsageError(f"{out}: already holds a run; resume it with --resume {out}, or set out=ANOTHER")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            write_recipe(anchored(recipe), part)
    except OSError as error:
        raise TempoError(f"{out}: could not be written ({error.strerror or error})") from error


def anchored(recipe: Recipe) -> Recipe:
    """The recipe with whole paths, so that its run can be resumed from anywhere."""

    def whole_path(name: str | None) -> str | None:
        return name if name is None or not Path(name).exists() else str(Path(name).absolute())

    model = {
        key: whole_path(getattr(recipe.model, key)) for key in ("start", "base", "compressor", "decoder")
    }

    def whole_paths(sources: tuple[DataConfig, ...]) -> tuple[DataConfig, ...]:
        return tuple(
            replace(source, path=whole_path(source.path), media=whole_path(source.media))
            for source in sources
        )

    return replace(
        recipe,
        model=replace(recipe.model, **model),  # type: ignore[arg-type]
        data=whole_paths(recipe.data),
        validation=replace(recipe.validation, data=whole_paths(recipe.validation.data)),
    )


def write_result(
    out: Path,
    recipe: Recipe,
    spec: ModelSpec,
    objective: Objective,
    model: TempoQwenForCausalLM,
    *,
    generated: bool,
) -> None:
    """Write the model with its adapters merged, the adapters by themselves, and what else the objective has.

    Args:
        generated: whether the model saw rendered videos only. If not, it no longer says so of itself: what
            the videos of a file show, only their owner knows.

    Raises:
        OSError: they cannot be written; nothing half-written is left.
    """
    part = out / PART
    shutil.rmtree(part, ignore_errors=True)
    try:
        if recipe.lora is not None:
            lora.save_adapter(model, recipe.lora, out / ADAPTER)
            lora.merge(model)
        if state := objective.own_state():
            write_tensors(
                out / OBJECTIVE, {name: tensor.cpu().contiguous() for name, tensor in state.items()}
            )
        model = model.eval().to(getattr(torch, recipe.save_dtype))
        if not generated:
            model.config.trained_on = None
        save_model(model, part, tokenizer=spec.tokenizer, compressor_tokenizer=spec.compressor_tokenizer)
        shutil.rmtree(out / MODEL, ignore_errors=True)
        part.rename(out / MODEL)
    except OSError:
        shutil.rmtree(part, ignore_errors=True)
        raise
