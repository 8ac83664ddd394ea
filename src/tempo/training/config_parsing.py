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
from tempo.storage.regular_files import check_has_an_end

from .config import Recipe, spelled
from .packaged_recipes import find_recipe, recipe_names
from .recipe_checks import check


def read_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe's file, `overrides` like `learning_rates.decoder=1e-5` on top.

    Args:
        path: a YAML file, or the name of a packaged recipe.

    Raises:
        UsageError: the file is not there or not YAML; a field is unknown (the nearest valid one is named), of
            the wrong type, or makes no sense together with the others.
    """
    path = find_recipe(path)
    check_has_an_end(path)
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"{path}: no such recipe; check the path, or name a packaged one: {', '.join(recipe_names())}"
        ) from None
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
    try:
        check(recipe)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
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
        raise UsageError(f"{override!r}: use the form key=value, for example batch.global_batch_size=16")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{override!r}: the value is not YAML ({' '.join(str(error).split())})") from error
    *path, last = key.split(".")
    at: Any = values
    for name, inner in zip(path, [*path, last][1:], strict=True):
        if isinstance(at, list):
            at = at[_index(at, name, override)]
        else:
            if at.get(name) is None:  # the file does not have it: fields, or a list with its first item
                at[name] = [{}] if inner == "0" else {}
            at = at[name]
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
            raise UsageError(f"{file}: unknown field {where}{key}{_meant(key, hints, where)}")
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
