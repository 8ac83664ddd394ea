"""Writes the files of a report, each of them atomically."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from tempo.errors import TempoError
from tempo.storage.atomic_files import write_atomically


def write_files(folder: Path, texts: dict[str, str]) -> list[Path]:
    """Write texts by file name into `folder`, and return their paths.

    Raises:
        TempoError: they cannot be written.
    """
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            write_atomically(folder / name, text)
            paths.append(folder / name)
    except OSError as error:
        raise TempoError(f"{folder}: the report cannot be written ({error.strerror or error})") from error
    return paths


def to_json(value: Any) -> str:
    """JSON of plain values and dataclasses; NaN and infinity become null."""
    return json.dumps(_plain(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Path):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
