"""Reads one file of an object store, as :mod:`.transport` reads one of an HTTP server."""

from __future__ import annotations

from typing import Any

from tempo.errors import TempoError
from tempo.storage import object_stores

from .addresses import Address
from .failures import FetchError


class ObjectClient:
    """Reads the file at one address from any byte on."""

    def __init__(self, address: Address) -> None:
        """Raises TempoError where the filesystem cannot be used."""
        self._address = address
        self._filesystem, self._path = object_stores.opened(address.url)

    def get(self, start: int | None) -> ObjectResponse:
        """The file from byte `start` on. Raises FetchError."""
        try:
            found: dict[str, Any] = self._filesystem.info(self._path)
            if found.get("type") == "directory":
                raise TempoError(f"{self._address.shown}: a folder; give the address of a file")
            file = self._filesystem.open(self._path, "rb")
            file.seek(start or 0)
        except TempoError:
            raise
        except Exception as error:
            raise _failure(self._address, error) from error
        return ObjectResponse(self._address, file, start or 0, found)


class ObjectResponse:
    """An open file of an object store, with the attributes of an HTTP response."""

    partial = ranged = names_ranges = True
    content_type = ""

    def __init__(self, address: Address, file: Any, start: int, found: dict[str, Any]) -> None:
        self._address, self._file = address, file
        self.start = self.position = start
        self.size = self.end = int(found["size"])
        versions = (found.get(name) for name in ("ETag", "etag", "md5Hash", "content_md5"))
        times = (found.get(name) for name in ("LastModified", "mtime", "last_modified", "updated", "created"))
        self.tag = next((str(value) for value in versions if value), "")
        self.modified = next((str(value) for value in times if value), "")

    def read(self, count: int) -> bytes:
        """The next `count` bytes; fewer only at the end. Raises FetchError."""
        try:
            data: bytes = self._file.read(count)
        except Exception as error:
            raise _failure(self._address, error) from error
        self.position += len(data)
        return data

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _failure(address: Address, error: Exception) -> FetchError:
    gone = isinstance(error, FileNotFoundError | PermissionError)
    return FetchError(object_stores.unusable(address.shown, error), passing=not gone)
