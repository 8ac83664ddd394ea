"""Caches fetched blocks of a remote file in a temporary file that removes itself."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import tempfile
import weakref

from tempo.errors import TempoError

BLOCK = 1 << 16  # bytes
OPEN_FILES = "/proc/self/fd"  # where Linux has the files that a process has open
HAS_OPEN_FILES = os.path.isdir(OPEN_FILES)


class Blocks:
    """A cache of blocks on disk, up to a limit. Not thread-safe.

    On Linux the file has no name in any folder: it disappears with the process, however that ends.
    Elsewhere it is removed with this object or when Python ends.

    Attributes:
        capacity: bytes that may be cached.
        path: under which this process can open the file for as long as this object lives.
    """

    def __init__(self, capacity: int) -> None:
        """Raises TempoError where no temporary file can be made."""
        try:
            self._file, self.path = _temporary_file()
        except OSError as error:
            raise TempoError(
                f"no temporary file can be made ({error.strerror or error}); set TMPDIR to a folder with room"
            ) from error
        weakref.finalize(self, _remove, self._file, self.path)
        self.capacity = capacity
        self._have = bytearray()  # for each block, whether it is cached
        self._kept = 0

    def put(self, index: int, data: bytes) -> None:
        """Cache a block, if the capacity allows. Raises OSError if it cannot be written."""
        if self.has(index) or self._kept + len(data) > self.capacity:
            return
        self._file.seek(index * BLOCK)
        if self._file.write(data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if index >= len(self._have):
            self._have.extend(bytes(index + 1 - len(self._have)))
        self._have[index] = True
        self._kept += len(data)

    def has(self, index: int) -> bool:
        """Whether a block is cached."""
        return index < len(self._have) and bool(self._have[index])

    def get(self, index: int) -> bytes | None:
        """A block; None: it is not cached."""
        if not self.has(index):
            return None
        self._file.seek(index * BLOCK)
        return self._file.read(BLOCK)


def _temporary_file() -> tuple[io.FileIO, str]:
    """(the file, the path under which it can be opened). Unbuffered, since it is read under its path too."""
    if HAS_OPEN_FILES:
        unnamed = tempfile.TemporaryFile(prefix="tempo-", buffering=0)  # noqa: SIM115
        return unnamed, f"{OPEN_FILES}/{unnamed.fileno()}"
    handle, path = tempfile.mkstemp(prefix="tempo-")
    return io.FileIO(handle, "w+"), path


def _remove(file: io.FileIO, path: str) -> None:
    file.close()
    if not path.startswith(OPEN_FILES):
        with contextlib.suppress(OSError):
            os.remove(path)
