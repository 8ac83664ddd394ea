"""YAML → a recipe: typed, and every mistake is one line that says what is meant."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from tempo.errors import UsageError
from tempo.number_checks import FASTEST, SLOWEST
from tempo.storage.regular_files import check_has_an_end

from .config import PARTS, Recipe, spelled

MOST = 1_000_000  # frames, memory tokens, passes: more is a slip of the keyboard, and overflows in places
MOST_TOGETHER = {"samples": MOST, "together": 100_000, "chunk": MOST, "questions": 1000}


def read_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe's file, `overrides` like `train.decoder=1e-5` on top.

    Raises:
        UsageError: the file is not there or not YAML; a field is unknown (the nearest valid one is named), of
            the wrong type, or makes no sense together with the others.
    """
    path = Path(path)
    check_has_an_end(path)
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such recipe") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not readable ({error})") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise UsageError(f"{path}: a recipe is a mapping of fields, not {_kind(values)}")
    for override in overrides:
        _override(values, override)
    recipe = _build(Recipe, values, where="", file=str(path))
    check(recipe, str(path))
    return recipe


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write every field, so that a run says all that it was made with."""
    path.write_text(yaml.safe_dump(_plain(recipe), sort_keys=False, allow_unicode=True), encoding="utf-8")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def _override(values: dict[str, Any], override: str) -> None:
    """Put `key=value` in its place; the value is read as YAML."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise UsageError(f"{override!r}: say key=value, like batch.samples=16")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{override!r}: the value is not YAML ({' '.join(str(error).split())})") from error
    *path, last = key.split(".")
    at: Any = values
    for name in path:
        if isinstance(at, list):
            at = at[_index(at, name, override)]
        else:
            at[name] = at = {} if at.get(name) is None else at[name]
        if not isinstance(at, dict | list):
            raise UsageError(f"{override!r}: {name} has no fields of its own")
    if isinstance(at, list):
        at[_index(at, last, override)] = value
    else:
        at[last] = value


def _index(values: list[Any], name: str, override: str) -> int:
    # Other scripts have digits too, some of which are no numbers.
    if not (name.isascii() and name.isdigit() and len(name) < 10 and int(name) < len(values)):
        raise UsageError(f"{override!r}: {name} must be a number from 0 to {len(values) - 1}")
    return int(name)


def _build(kind: type, values: Mapping[str, Any], *, where: str, file: str) -> Any:
    """A dataclass from a mapping."""
    hints = get_type_hints(kind)
    for key in values:
        if key not in hints:
            raise UsageError(f"{file}: there is no field {where}{key}{_meant(key, hints, where)}")
    return kind(**{key: _typed(hints[key], value, f"{where}{key}", file) for key, value in values.items()})


def _meant(key: Any, hints: Mapping[str, Any], where: str) -> str:
    near = difflib.get_close_matches(str(key), hints, n=1, cutoff=0.0)
    return f"; did you mean {where}{near[0]}?" if near else ""


def _typed(hint: Any, value: Any, where: str, file: str) -> Any:
    """`value` as the type `hint`; UsageError where it is something else."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None and type(None) in args:
            return None
        return _typed(next(a for a in args if a is not type(None)), value, where, file)
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        assert isinstance(hint, type)
        return _build(hint, value, where=where + ".", file=file)
    if origin is tuple and isinstance(value, list):
        return tuple(_typed(args[0], one, f"{where}.{i}", file) for i, one in enumerate(value))
    if origin is dict and isinstance(value, Mapping):
        return dict(value)
    if origin is Literal and value in args:
        return value
    if hint is bool and isinstance(value, bool):
        return value
    if hint is str and isinstance(value, str):
        return value
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint is float and (number := _number(value)) is not None:
        return number
    raise UsageError(f"{file}: {where} must be {spelled(hint)}, not {_kind(value)}")


def _number(value: Any) -> float | None:
    """YAML takes 1e-5 for a text: it wants 1.0e-5."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list) else "null" if value is None else repr(value)


def check(recipe: Recipe, file: str) -> None:
    """Raise UsageError for what can never work, whatever the data and the machine are."""

    def refuse(condition: bool, message: str) -> None:
        if condition:
            raise UsageError(f"{file}: {message}")

    model, schedule, batch = recipe.model, recipe.schedule, recipe.batch
    refuse(not recipe.data, "data has no source; give at least one, with a path")
    refuse(
        (model.start is None) == (model.compressor is None),
        "model needs either start, a Tempo checkpoint, or compressor, a base model to make a new one of",
    )
    refuse(
        model.start is not None and (model.decoder is not None or bool(model.config)),
        "model.decoder and model.config belong to a new model; a checkpoint (model.start) has them",
    )
    for index, source in enumerate(recipe.data):
        where = f"data.{index}"
        refuse(
            (source.path is None) == (source.world is None), f"{where} needs either a path or world, not both"
        )
        refuse(
            not 0 < source.weight <= 1e9,
            f"{where}.weight must be above 0 and at most 1e9; leave the source out instead",
        )
        if source.world is not None:
            refuse(
                not source.world.segments or min(source.world.segments) < 1,
                f"{where}.world.segments must be whole numbers of at least 1",
            )
            refuse(source.world.questions < 1, f"{where}.world.questions must be at least 1")
            for name in ("choice", "wide"):
                share = getattr(source.world, name)
                refuse(not 0 <= share <= 1, f"{where}.world.{name} is a share, from 0 to 1")
    rates = {part: getattr(recipe.train, part) for part in PARTS}
    refuse(all(rate is None for rate in rates.values()), "train trains nothing; give a part a learning rate")
    for part, rate in rates.items():
        refuse(
            rate is not None and not 0 < rate <= 1,
            f"train.{part} must be above 0 and at most 1; null leaves the part as it is",
        )
    if recipe.lora is not None:
        refuse(not 1 <= recipe.lora.rank <= 65536, "lora.rank must be from 1 to 65536")
        refuse(not 0 < recipe.lora.alpha <= 1e6, "lora.alpha must be above 0 and at most 1e6")
        refuse(not 0 <= recipe.lora.dropout < 1, "lora.dropout must be from 0 to below 1")
        refuse(not recipe.lora.parts, "lora.parts is empty; name a part, or leave lora out")
        for part in recipe.lora.parts:
            refuse(rates[part] is None, f"lora.parts has {part}, which train gives no learning rate")
    refuse(
        (schedule.steps is None) == (schedule.epochs is None),
        "schedule needs either steps or epochs",
    )
    steps, epochs = schedule.steps, schedule.epochs
    refuse(steps is not None and not 1 <= steps <= 1e9, "schedule.steps must be from 1 to 1e9")
    refuse(
        epochs is not None and not 0 < epochs <= MOST,
        f"schedule.epochs must be above 0 and at most {MOST}",
    )
    refuse(
        schedule.epochs is not None and any(source.path is None for source in recipe.data),
        "schedule.epochs counts records, and world has no end; give schedule.steps",
    )
    refuse(schedule.warmup < 0, "schedule.warmup must be at least 0")
    refuse(not 0 <= schedule.cooldown <= 1, "schedule.cooldown must be from 0 to 1")
    for name, most in MOST_TOGETHER.items():
        refuse(not 1 <= getattr(batch, name) <= most, f"batch.{name} must be from 1 to {most}")
    tokens = recipe.budget.tokens
    refuse(tokens is not None and not 1 <= tokens <= MOST, f"budget.tokens must be from 1 to {MOST}")
    refuse(not 0 <= recipe.budget.random <= 1, "budget.random must be from 0 to 1")
    refuse(len(recipe.optimizer.betas) != 2, "optimizer.betas must be two numbers")
    refuse(not all(0 <= b < 1 for b in recipe.optimizer.betas), "optimizer.betas must be from 0 to below 1")
    for name in ("weight_decay", "routing"):
        value = getattr(recipe.optimizer, name)
        refuse(not 0 <= value <= 1000, f"optimizer.{name} must be from 0 to 1000")
    refuse(recipe.optimizer.clip <= 0, "optimizer.clip must be above 0")
    refuse(recipe.checkpoints.keep < 1, "checkpoints.keep must be at least 1")
    refuse(recipe.checkpoints.minutes <= 0, "checkpoints.minutes must be above 0")
    refuse(
        recipe.checkpoints.steps is not None and recipe.checkpoints.steps < 1,
        "checkpoints.steps must be at least 1",
    )
    refuse(recipe.workers < 0 or recipe.skip_limit < 0, "workers and skip_limit must be at least 0")
    for name in ("fps", "max_frames", "min_frames"):
        value = getattr(recipe.video, name)
        refuse(
            value is not None and not 0 < value <= MOST,
            f"video.{name} must be above 0 and at most {MOST}",
        )
    fps = recipe.video.fps
    refuse(fps is not None and not SLOWEST <= fps <= FASTEST, f"video.fps must be at most {FASTEST:g}")
    refuse(not 0 <= recipe.seed < 2**31, "seed must be from 0 to 2147483647")
    refuse(recipe.parallel == "fsdp" and recipe.lora is not None, "lora goes with parallel: ddp")
