"""Files that clients send ahead: OpenAI's Files API, in a folder of the server's."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .api_errors import ApiError, as_api_error


@dataclass(frozen=True)
class Upload:
    """A file that was sent; `expires_at` is in seconds since 1970."""

    id: str
    path: Path
    name: str
    purpose: str
    bytes: int
    created_at: int
    expires_at: int

    @property
    def body(self) -> dict[str, Any]:
        """What is told of it."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.bytes,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "filename": self.name,
            "purpose": self.purpose,
            "status": "processed",
        }


class Uploads:
    """Uploaded files by their ids.

    Args:
        limit_bytes: of one file.
        lifetime: seconds after which a file is removed.
    """

    def __init__(self, folder: Path, *, limit_bytes: int, lifetime: float = 24 * 3600) -> None:
        self.folder, self.limit_bytes, self.lifetime = folder, limit_bytes, lifetime
        self.bytes_received = 0
        self._files: dict[str, Upload] = {}
        self._lock = threading.Lock()

    async def add(
        self, chunks: AsyncIterator[bytes], *, name: str, purpose: str, identity: str | None = None
    ) -> Upload:
        """Store a file while it comes in, by default with a new identity.

        Raises:
            ApiError: it is empty or larger than allowed, or the disk is full; nothing is left of it then.
        """
        self._expire()
        identity = identity or f"file-{secrets.token_hex(12)}"
        path, size = self.folder / identity, 0
        try:
            with path.open("wb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    self.bytes_received += len(chunk)
                    if size > self.limit_bytes:
                        raise too_large(self.limit_bytes)
                    file.write(chunk)
            if not size:
                raise ApiError(400, "the file is empty; send a video", param="file")
        except BaseException as error:
            path.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise as_api_error(error) from error
            raise
        now = int(time.time())
        upload = Upload(identity, path, os.path.basename(name), purpose, size, now, now + int(self.lifetime))
        with self._lock:
            self._files[identity] = upload
        return upload

    def get(self, identity: str) -> Upload:
        """Raises ApiError where there is none."""
        self._expire()
        found = self._files.get(identity)
        if found is None:
            raise ApiError(404, f"no file {identity!r}; upload it to /v1/files first", param="file_id")
        return found

    def all(self) -> list[Upload]:
        """The oldest first."""
        self._expire()
        return list(self._files.values())

    def remove(self, identity: str) -> None:
        """Raises ApiError where there is none."""
        upload = self.get(identity)
        with self._lock:
            self._files.pop(identity, None)
        upload.path.unlink(missing_ok=True)

    def _expire(self) -> None:
        with self._lock:
            gone = [one for one in self._files.values() if one.expires_at < time.time()]
            for one in gone:
                del self._files[one.id]
        for one in gone:
            one.path.unlink(missing_ok=True)


def too_large(limit_bytes: int) -> ApiError:
    """What to say of a file beyond the limit."""
    return ApiError(413, f"a video may have at most {limit_bytes / 1e6:.0f} MB on this server; send less")
