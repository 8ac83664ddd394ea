"""Find a Python environment with lmms-eval; its pinned dependencies seldom agree with tempo's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tempo.errors import TempoError

VARIABLE = "TEMPO_EVAL_PYTHON"
SUPPORTED = "0.7."
_PROBE = """
import importlib.metadata as metadata, importlib.util, json
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
spec = importlib.util.find_spec("lmms_eval")
plugins = [entry.name for entry in metadata.entry_points(group="lmms_eval.models")]
print(json.dumps({
    "lmms_eval": version("lmms-eval"),
    "folder": spec.submodule_search_locations[0] if spec else None,
    "plugin": "tempo" in plugins,
}))
"""
_READ_PARQUET = """
import json, sys
import pyarrow.parquet
for row in pyarrow.parquet.read_table(sys.argv[1]).to_pylist():
    print(json.dumps(row, default=str))
"""


@dataclass(frozen=True)
class Environment:
    """A Python environment with lmms-eval and tempo's plugin.

    Attributes:
        python: path of the interpreter.
        version: version of lmms-eval.
        folder: folder of the lmms-eval package.
    """

    python: str
    version: str
    folder: Path

    def read_parquet(self, file: Path) -> list[dict[str, Any]]:
        """Read a Parquet file, which tempo's own dependencies cannot.

        Raises:
            TempoError: the file is damaged.
        """
        done = _run([self.python, "-c", _READ_PARQUET, str(file)])
        if done.returncode:
            reason = (done.stderr.strip() or "no reason given").splitlines()[-1]
            raise TempoError(f"{file}: cannot be read as Parquet ({reason})")
        return [json.loads(line) for line in done.stdout.splitlines()]


def find(python: str | None = None) -> Environment:
    """Return the environment of an interpreter, or the first one with lmms-eval.

    The search covers `TEMPO_EVAL_PYTHON`, the current interpreter, and `.venv-eval` of a checkout.

    Raises:
        TempoError: there is none, or it lacks something.
    """
    named = python or os.environ.get(VARIABLE)
    for candidate in [named] if named else _candidates():
        found = _probe(candidate)
        if found is None:
            if named:
                raise TempoError(f"{named}: cannot be run; name the Python of an environment with lmms-eval")
        elif found["lmms_eval"] is None:
            if named:
                raise TempoError(
                    f"{named}: lmms-eval is missing; install tempo-video[eval] in this environment"
                )
        else:
            return _checked(candidate, found)
    raise TempoError(
        "lmms-eval is not installed; run `make eval-env` in a checkout of tempo, or install "
        f"tempo-video[eval] in its own environment and name its Python with --python or {VARIABLE}"
    )


def _checked(python: str, found: dict[str, Any]) -> Environment:
    if not found["lmms_eval"].startswith(SUPPORTED):
        raise TempoError(f"{python}: lmms-eval {found['lmms_eval']} is not supported; install {SUPPORTED}x")
    if not found["plugin"]:
        raise TempoError(
            f"{python}: tempo is missing beside lmms-eval; install tempo-video in this environment"
        )
    return Environment(python, found["lmms_eval"], Path(found["folder"]))


def _candidates() -> Iterator[str]:
    yield sys.executable
    checkout = Path(__file__).parents[3]
    python = checkout / ".venv-eval" / "bin" / "python"
    if (checkout / "pyproject.toml").is_file() and python.is_file():
        yield str(python)


def _probe(python: str) -> dict[str, Any] | None:
    """What an interpreter has installed, or None if it cannot be run."""
    try:
        done = _run([python, "-c", _PROBE])
        return json.loads(done.stdout) if done.returncode == 0 else None
    except (OSError, ValueError):
        return None


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8")
