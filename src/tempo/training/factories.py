"""Callables that a recipe names as `module:callable`: samples or losses that are no part of the package."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any

from tempo.errors import TempoError, UsageError


def find_factory(name: str, where: str) -> Callable[..., Any]:
    """The callable that `where` in a recipe names. Modules in the working directory are found.

    Raises:
        UsageError: it is not named as `module:callable`.
        TempoError: there is no such module, it cannot be imported, or it has no such callable.
    """
    module_name, colon, attribute = name.partition(":")
    if not (colon and module_name and attribute):
        raise UsageError(f"{where}: {name!r} is not module:callable, like research.nano.datasets:clips")
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)  # as `python -m` does; the console script does not
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise TempoError(
            f"{where}: there is no module {error.name} ({name}); install it, or run from its folder"
        ) from error
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TempoError(f"{where}: {module_name} cannot be imported ({reason})") from error
    found = getattr(module, attribute, None)
    if not callable(found):
        raise TempoError(f"{where}: {module_name} has no callable {attribute}")
    return found


def call_factory(name: str, where: str, *args: Any, options: dict[str, Any]) -> Any:
    """What the callable makes of `args` and the recipe's options.

    Raises:
        TempoError: as `find_factory`.
        UsageError: an option is unknown, missing or has an unusable value.
    """
    factory = find_factory(name, f"{where}.factory")
    try:
        inspect.signature(factory).bind(*args, **options)
    except TypeError as error:
        raise UsageError(f"{where}.options: {error} ({name})") from error
    try:
        return factory(*args, **options)
    except UsageError as error:
        raise UsageError(f"{where}.options: {error} ({name})") from error
