"""The folder in which a server keeps what clients sent and what it fetched, for as long as it runs."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from tempo.storage.file_lock import lock

_PREFIX, _LOCK = "tempo-serve-", ".lock"
_YOUNG = 60.0  # seconds that a server may take between making its folder and locking it


class StorageFolder:
    """A temporary folder that is locked while it is in use; what killed servers left behind is removed."""

    def __init__(self, inside: Path | None = None) -> None:
        root = Path(inside or tempfile.gettempdir())
        _sweep(root)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
        self._lock = (self.path / _LOCK).open("w")
        lock(self._lock, wait=True)

    def remove(self) -> None:
        """Remove it with everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def _sweep(root: Path) -> None:
    for folder in root.glob(f"{_PREFIX}*"):
        try:
            with (folder / _LOCK).open("r+") as file:
                if lock(file, wait=False):
                    shutil.rmtree(folder, ignore_errors=True)
        except FileNotFoundError:
            if time.time() - folder.stat().st_mtime > _YOUNG:
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # another user's
            continue
