"""Writes a figure to an image file in the format of its name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tempo.errors import TempoError, UsageError, reason_of
from tempo.storage.atomic_files import write_atomically
from tempo.text_safety import whole_text

from .figure import Figure
from .html import to_html
from .png import to_png
from .svg import to_svg

FORMATS: dict[str, Callable[[Figure], str | bytes]] = {".png": to_png, ".svg": to_svg, ".html": to_html}


def check_path(path: str | Path) -> Path:
    """Return PATH if a figure can be written there.

    Raises:
        UsageError: no format has its ending.
        TempoError: its folder does not exist or cannot be written, or it cannot be a file.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise UsageError(
            f"{path}: a plot can be saved as {', '.join(FORMATS)}; give its name one of these endings"
        )
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


def save(figure: Figure, path: str | Path) -> None:
    """Write FIGURE in the format that PATH ends in; the file appears when it is whole.

    Raises:
        UsageError, TempoError: as :func:`check_path`, or it cannot be written.
    """
    path = check_path(path)
    data = FORMATS[path.suffix.lower()](figure)
    if isinstance(data, str):
        data = whole_text(data).encode()
    try:
        write_atomically(path, data)
    except OSError as error:
        raise TempoError(f"{path}: cannot be written ({reason_of(error)})") from error
