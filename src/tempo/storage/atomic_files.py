"""Replaces files atomically: whatever happens, a path holds the old file or the whole new one."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield an empty temporary file beside `path` that takes its place when the block ends.

    It is on the disk before it is renamed, so that even a power failure leaves one of the two files whole.
    If the block raises, or removes the temporary file, `path` stays as it is. The folder has to exist.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    # Not the file's own name with an ending, which may be longer than a name can be.
    temporary = path.with_name(f".tempo-{secrets.token_hex(8)}.part")
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield temporary
        if temporary.exists():
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
            sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write `content`, text as UTF-8, as the whole of a file. Raises OSError; `path` is then as it was."""
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power failure, on systems and file systems that can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
