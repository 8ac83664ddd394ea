"""The folder in which tempo keeps what it can make again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """`$TEMPO_CACHE`, else `tempo` in the user's cache folder; it need not exist."""
    if given := os.environ.get("TEMPO_CACHE"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tempo"
