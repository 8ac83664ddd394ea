"""What can never work in a recipe, whatever the data and the machine are."""

from __future__ import annotations

from tempo.errors import UsageError
from tempo.number_checks import FASTEST, SLOWEST

from .config import GROUPS, DataConfig, LearningRates, LoraConfig, Recipe, ScheduleConfig, ValidationConfig

MOST = 1_000_000  # frames, memory tokens, passes: more is a slip of the keyboard, and overflows in places
ANSWER_METRICS = ("loss", "routing", "exact", "relevance_accuracy")  # of the objective of answers
MOST_AT_ONCE = {
    "global_batch_size": MOST,
    "micro_batch_size": 100_000,
    "segment_chunk": MOST,
    "max_questions": 1000,
}


def refuse(condition: bool, message: str) -> None:
    """Raise UsageError with `message` where the condition holds."""
    if condition:
        raise UsageError(message)


def check(recipe: Recipe) -> None:
    """Raise UsageError for the first mistake that is found; it names the field."""
    refuse(not recipe.data, "data has no source; add at least one with a path")
    _check_model(recipe)
    for index, source in enumerate(recipe.data):
        _check_source(source, f"data.{index}")
    _check_validation(recipe.validation)
    refuse(
        recipe.objective.factory is None and recipe.validation.metric not in ANSWER_METRICS,
        f"validation.metric must be {', '.join(ANSWER_METRICS)}, not {recipe.validation.metric!r}",
    )
    _check_learning_rates(recipe.learning_rates)
    if recipe.lora is not None:
        _check_lora(recipe.lora, recipe.learning_rates)
        refuse(recipe.parallel == "fsdp", "lora goes with parallel: ddp")
    _check_schedule(recipe.schedule)
    _check_optimizer(recipe)
    for name, most in MOST_AT_ONCE.items():
        refuse(not 1 <= getattr(recipe.batch, name) <= most, f"batch.{name} must be from 1 to {most}")
    _check_checkpoints(recipe)
    _check_video(recipe)
    refuse(not 0 <= recipe.seed < 2**31, "seed must be from 0 to 2147483647")
    refuse(recipe.num_workers < 0 or recipe.skip_limit < 0, "num_workers and skip_limit must be at least 0")


def _check_model(recipe: Recipe) -> None:
    model, objective = recipe.model, recipe.objective
    refuse(
        (model.start is None) == (model.compressor is None),
        "model needs either start, a Tempo checkpoint, or compressor, a base model to make a new one of",
    )
    refuse(
        model.start is not None and (model.decoder is not None or bool(model.config)),
        "model.decoder and model.config belong to a new model; a checkpoint (model.start) has them",
    )
    refuse(
        bool(objective.options) and objective.factory is None,
        "objective.options belong to objective.factory; name one",
    )
    refuse(not 0 <= objective.relevance_weight <= 1000, "objective.relevance_weight must be from 0 to 1000")


def _check_source(source: DataConfig, where: str) -> None:
    refuse(
        (source.path is None) == (source.factory is None),
        f"{where} needs either a path or a factory, not both",
    )
    refuse(source.factory is None and bool(source.options), f"{where}.options belong to a factory; name one")
    refuse(source.factory is not None and source.media is not None, f"{where}.media belongs to a path")
    refuse(
        not 0 < source.weight <= 1e9,
        f"{where}.weight must be above 0 and at most 1e9; leave the source out instead",
    )


def _check_validation(validation: ValidationConfig) -> None:
    for index, source in enumerate(validation.data):
        _check_source(source, f"validation.data.{index}")
    refuse(validation.every_steps < 1, "validation.every_steps must be at least 1")
    refuse(not 1 <= validation.samples <= MOST, f"validation.samples must be from 1 to {MOST}")
    patience = validation.patience
    refuse(patience is not None and patience < 1, "validation.patience must be at least 1")
    refuse(
        patience is not None and not validation.data,
        "validation.patience needs held-out data; give validation.data",
    )


def _check_learning_rates(rates: LearningRates) -> None:
    given = {group: getattr(rates, group) for group in GROUPS}
    refuse(
        all(rate is None for rate in given.values()),
        "learning_rates trains nothing; give a parameter group a learning rate",
    )
    for group, rate in given.items():
        refuse(
            rate is not None and not 0 < rate <= 1,
            f"learning_rates.{group} must be above 0 and at most 1; null freezes the group",
        )


def _check_lora(lora: LoraConfig, rates: LearningRates) -> None:
    refuse(not 1 <= lora.rank <= 65536, "lora.rank must be from 1 to 65536")
    refuse(not 0 < lora.alpha <= 1e6, "lora.alpha must be above 0 and at most 1e6")
    refuse(not 0 <= lora.dropout < 1, "lora.dropout must be from 0 to below 1")
    refuse(not lora.groups, "lora.groups is empty; name a group, or leave lora out")
    for group in lora.groups:
        refuse(
            getattr(rates, group) is None,
            f"lora.groups has {group}, to which learning_rates gives no learning rate",
        )


def _check_schedule(schedule: ScheduleConfig) -> None:
    steps, epochs = schedule.steps, schedule.epochs
    refuse((steps is None) == (epochs is None), "schedule needs either steps or epochs")
    refuse(steps is not None and not 1 <= steps <= 1e9, "schedule.steps must be from 1 to 1e9")
    refuse(
        epochs is not None and not 0 < epochs <= MOST,
        f"schedule.epochs must be above 0 and at most {MOST}",
    )
    refuse(schedule.warmup_steps < 0, "schedule.warmup_steps must be at least 0")
    refuse(not 0 <= schedule.decay_ratio <= 1, "schedule.decay_ratio must be from 0 to 1")


def _check_optimizer(recipe: Recipe) -> None:
    optimizer = recipe.optimizer
    refuse(len(optimizer.betas) != 2, "optimizer.betas must be two numbers")
    refuse(not all(0 <= b < 1 for b in optimizer.betas), "optimizer.betas must be from 0 to below 1")
    refuse(not 0 <= optimizer.weight_decay <= 1000, "optimizer.weight_decay must be from 0 to 1000")
    refuse(optimizer.max_grad_norm <= 0, "optimizer.max_grad_norm must be above 0")
    refuse(
        optimizer.matrices == "muon" and recipe.parallel == "fsdp",
        "optimizer.matrices: muon goes with parallel: ddp",
    )


def _check_checkpoints(recipe: Recipe) -> None:
    checkpoints = recipe.checkpoints
    refuse(checkpoints.keep < 1, "checkpoints.keep must be at least 1")
    refuse(checkpoints.every_minutes <= 0, "checkpoints.every_minutes must be above 0")
    refuse(
        checkpoints.every_steps is not None and checkpoints.every_steps < 1,
        "checkpoints.every_steps must be at least 1",
    )


def _check_video(recipe: Recipe) -> None:
    tokens = recipe.budget.tokens
    refuse(tokens is not None and not 1 <= tokens <= MOST, f"budget.tokens must be from 1 to {MOST}")
    refuse(not 0 <= recipe.budget.token_dropout <= 1, "budget.token_dropout must be from 0 to 1")
    for name in ("fps", "max_frames", "min_frames"):
        value = getattr(recipe.video, name)
        refuse(
            value is not None and not 0 < value <= MOST,
            f"video.{name} must be above 0 and at most {MOST}",
        )
    fps = recipe.video.fps
    refuse(fps is not None and not SLOWEST <= fps <= FASTEST, f"video.fps must be at most {FASTEST:g}")
