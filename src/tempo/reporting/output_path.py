"""Files that a user names: known to be writable before anything that takes long, and written whole."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from tempo.errors import TempoError, UsageError, reason_of
from tempo.storage.atomic_files import write_atomically
from tempo.text_safety import whole_text


def check_output(path: str | os.PathLike[str], endings: Iterable[str]) -> Path:
    """Return PATH if a file can be written there.

    Args:
        endings: those that the name may have, in lower case, with the dot.

    Raises:
        UsageError: it has another ending.
        TempoError: its folder does not exist or cannot be written, or it cannot be a file.
    """
    path, endings = Path(path), list(endings)
    if path.suffix.lower() not in endings:
        raise UsageError(f"{path}: the name must end in {', '.join(endings[:-1])} or {endings[-1]}")
    # os.path finds nothing where pathlib raises: at names that are too long, or that no system can have.
    if os.path.isdir(path):
        raise TempoError(f"{path}: this is a folder; name a file in it")
    if not os.path.isdir(path.parent):
        raise TempoError(f"{path}: its folder does not exist; create it first")
    if not os.access(path.parent, os.W_OK):
        raise TempoError(f"{path}: its folder is not writable; choose another one")
    try:
        os.lstat(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise TempoError(f"{path}: cannot be written ({reason_of(error)})") from error
    return path


def write_output(path: Path, data: str | bytes) -> None:
    """Write DATA to PATH, text as UTF-8; the file appears once it is whole.

    Raises:
        TempoError: it cannot be written.
    """
    try:
        write_atomically(path, whole_text(data).encode() if isinstance(data, str) else data)
    except OSError as error:
        raise TempoError(f"{path}: cannot be written ({reason_of(error)})") from error
