"""What a recipe names, loaded: the model with its frozen and trained parameters, the data, the steps."""

from __future__ import annotations

import math

import torch

from tempo.errors import UsageError
from tempo.modeling import TempoQwenForCausalLM
from tempo.processing.prompts import Prompts

from . import lora, model_init, optim
from .answer_objective import AnswerObjective
from .config import Recipe
from .data.dataset import MixtureDataset
from .data.processor import SampleProcessor
from .data.sources import SourceContext
from .distributed import DistributedContext
from .factories import call_factory
from .objective import Objective


def load_model(
    recipe: Recipe, spec: model_init.ModelSpec, context: DistributedContext, *, bfloat16: bool
) -> TempoQwenForCausalLM:
    """The model at its start, adapters in place. What is trained is in float32.

    Raises:
        TempoError: weights are missing or damaged.
    """
    model = model_init.build(recipe.model, spec, device=context.device, seed=recipe.seed)
    optim.set_trained(model, recipe.learning_rates)
    torch.manual_seed(recipe.seed)  # of adapters, and of what an objective has beside the model
    if recipe.lora is not None:
        lora.add_adapters(model, recipe.lora)
    # FSDP wants one dtype a layer.
    if bfloat16 and not (recipe.parallel == "fsdp" and context.size > 1):
        optim.store_frozen(model, torch.bfloat16)
    return model


def build_objective(recipe: Recipe, model: TempoQwenForCausalLM, prompts: Prompts) -> Objective:
    """The objective that a recipe names, around `model`.

    Raises:
        TempoError: its factory is missing or does not take its options.
    """
    if recipe.objective.factory is None:
        return AnswerObjective(
            model,
            recipe.budget,
            segment_chunk=recipe.batch.segment_chunk,
            relevance_weight=recipe.objective.relevance_weight,
        )
    options = recipe.objective.options
    found: Objective = call_factory(recipe.objective.factory, "objective", model, prompts, options=options)
    return found


def load_data(recipe: Recipe, spec: model_init.ModelSpec) -> tuple[MixtureDataset, MixtureDataset | None]:
    """The data to train on, and that to validate on; None: the recipe has none.

    Raises:
        TempoError: a source is missing or has no records.
    """
    processor = build_processor(recipe, spec)
    context = SourceContext(processor, str(recipe.seed), recipe.schedule.steps)
    dataset = MixtureDataset(recipe.data, context, seed=recipe.seed)
    if not recipe.validation.data:
        return dataset, None
    context = SourceContext(processor, f"validation/{recipe.seed}", recipe.schedule.steps)
    held_out = MixtureDataset(recipe.validation.data, context, seed=recipe.seed, where="validation.data")
    return dataset, held_out


def build_processor(recipe: Recipe, spec: model_init.ModelSpec) -> SampleProcessor:
    """What makes examples of conversations, as the recipe and the model say."""
    config, video = spec.config, recipe.video
    return SampleProcessor(
        prompts=spec.prompts,
        config=config,
        geometry=config.make_geometry(),
        fps=video.fps or config.fps,
        max_frames=video.max_frames or config.max_frames,
        min_frames=video.min_frames or config.min_frames,
        max_questions=recipe.batch.max_questions,
    )


def steps_of(recipe: Recipe, dataset: MixtureDataset) -> int:
    """Optimizer steps: as the recipe says, or as many as its epochs take.

    Raises:
        UsageError: the recipe counts epochs of data that has no end.
    """
    if recipe.schedule.steps is not None:
        return recipe.schedule.steps
    assert recipe.schedule.epochs is not None
    if dataset.records is None:
        raise UsageError("schedule.epochs counts records, and a source has no end; give schedule.steps")
    return max(1, math.ceil(recipe.schedule.epochs * dataset.records / recipe.batch.global_batch_size))
