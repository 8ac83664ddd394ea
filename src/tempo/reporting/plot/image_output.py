"""A drawing in a file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from tempo.errors import TempoError, UsageError, reason_of
from tempo.text_safety import whole_text

from .drawing import Drawing
from .html import to_html
from .png import to_png
from .svg import to_svg

FORMATS: dict[str, Callable[[Drawing], str | bytes]] = {".png": to_png, ".svg": to_svg, ".html": to_html}


def check_path(path: str | Path) -> Path:
    """Return PATH if a drawing can be written there.

    Raises:
        UsageError: its ending is none of a format that can be drawn.
        TempoError: its folder is not there or cannot be written, it is a folder itself, or no name of a file.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path}: a plot can be drawn as {', '.join(FORMATS)}; end the name in one of them")
    # os.path finds nothing where pathlib raises: at names that are too long, or that no system can have.
    if os.path.isdir(path):
        raise TempoError(f"{path}: this is a folder; name a file in it")
    if not os.path.isdir(path.parent):
        raise TempoError(f"{path}: its folder does not exist; make it first")
    if not os.access(path.parent, os.W_OK):
        raise TempoError(f"{path}: its folder cannot be written; name another one")
    try:
        os.lstat(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise TempoError(f"{path}: cannot be written ({reason_of(error)})") from error
    return path


def save(drawing: Drawing, path: str | Path) -> None:
    """Write DRAWING in the format that PATH ends in; the file appears when it is whole.

    Raises:
        UsageError, TempoError: as :func:`check_path`, or it cannot be written.
    """
    path = check_path(path)
    data = FORMATS[path.suffix.lower()](drawing)
    if isinstance(data, str):
        data = whole_text(data).encode()
    part = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".tempo-", delete=False) as file:
            part = Path(file.name)
            file.write(data)
        part.chmod(0o666 & ~_umask())
        part.replace(path)
    except OSError as error:
        raise TempoError(f"{path}: cannot be written ({reason_of(error)})") from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
