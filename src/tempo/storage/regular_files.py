"""Rejects devices, which can be read without end."""

import os
import stat

from tempo.errors import TempoError


def check_has_an_end(path: str | os.PathLike[str]) -> None:
    """Raises TempoError for a device, which may give zeroes for ever. A pipe is read as a file is."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return  # opening it will report what is wrong
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise TempoError(f"{os.fspath(path)}: a device, not a file; check the path")
