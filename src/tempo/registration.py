"""Makes `tempo_qwen` known to the Auto classes of transformers once both packages are imported, in any order.

Importing tempo must stay quick, so it cannot import transformers. It waits for somebody else to.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


def register_with_transformers() -> None:
    """Now if transformers is there already, else right after it has been imported."""
    if "transformers" in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _WhenImported())


class _WhenImported(MetaPathFinder):
    """Sees the first import of transformers, steps aside, and registers once it is done."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "transformers":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            execute(module)
            _register()

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


def _register() -> None:
    with contextlib.suppress(
        ImportError
    ):  # without torch there is nothing to register, and no reason to fail
        importlib.import_module("tempo.modeling")
