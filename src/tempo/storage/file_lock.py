"""Locks open files; a lock ends with the process that holds it, even if it is killed."""

from __future__ import annotations

import errno
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# Said by file systems that have no locks, some network ones among them.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EBADF, errno.EINVAL, errno.EOPNOTSUPP}


def lock(file: IO[Any], *, wait: bool) -> bool | None:
    """Lock an open file for as long as it stays open.

    Returns:
        True: it is locked. False: another holder has the lock, and `wait` is False. None: this system or this
        file system has no locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        raise
    return True
