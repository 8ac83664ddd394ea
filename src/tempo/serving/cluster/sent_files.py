"""Files that clients sent to the HTTP side, on their way to workers on other machines."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from tempo.serving.api_errors import ApiError
from tempo.serving.uploads import Upload, Uploads

NAMESPACE = "tempo"
_CHUNK = 4 << 20  # bytes, of which each passes through the memory of both machines


def reader_name(application: str) -> str:
    """Of the actor that reads the files of an application's HTTP side."""
    return f"files of {application}"


class FileReader:
    """An actor on the machine of the HTTP side: reads the files of its folder.

    It is there before the workers, and before the folder: they are wanted for as long as they find it.
    """

    def __init__(self) -> None:
        self.folder: Path | None = None

    def open(self, folder: Path) -> None:
        """Read in this folder from now on."""
        self.folder = folder

    def read(self, identity: str, offset: int) -> bytes | None:
        """A part of a file; empty at its end; None where it is gone."""
        assert self.folder is not None
        try:
            with (self.folder / identity).open("rb") as file:
                file.seek(offset)
                return file.read(_CHUNK)
        except OSError:
            return None

    def gone(self, identities: Sequence[str]) -> list[str]:
        """Those that are not there any more."""
        return [one for one in identities if self.folder is None or not (self.folder / one).exists()]


def start_reader(ray: Any, application: str) -> Any:
    """Start the reader on this machine; it ends with this process."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = ray.remote(FileReader).options(
        name=reader_name(application),
        namespace=NAMESPACE,
        num_cpus=0,
        scheduling_strategy=here,
        max_concurrency=8,
    )
    return actor.remote()


class CopiedFiles:
    """A worker's copies of the files that clients sent to the HTTP side.

    Args:
        uploads: of the worker; the copies have the identities of the originals there.
    """

    def __init__(self, ray: Any, application: str, uploads: Uploads) -> None:
        self._ray, self._application, self._uploads = ray, application, uploads
        self._locks: dict[str, asyncio.Lock] = {}

    async def bring(self, upload: Upload) -> None:
        """Copy a file unless it is here. Raises ApiError where it was deleted meanwhile."""
        async with self._locks.setdefault(upload.id, asyncio.Lock()):
            if not any(one.id == upload.id for one in self._uploads.all()):
                await self._uploads.add(
                    self._chunks(upload), name=upload.name, purpose=upload.purpose, identity=upload.id
                )

    async def forget_deleted(self) -> None:
        """Remove the copies of files that were deleted.

        Raises:
            ActorDiedError, ValueError: the HTTP side is gone.
            RayError: it is out of reach.
        """
        known = [one.id for one in self._uploads.all()]
        for identity in await self._reader().gone.remote(known):
            self._locks.pop(identity, None)
            with contextlib.suppress(ApiError):  # its time was over too
                self._uploads.remove(identity)

    def _reader(self) -> Any:
        return self._ray.get_actor(reader_name(self._application), namespace=NAMESPACE)

    async def _chunks(self, upload: Upload) -> AsyncIterator[bytes]:
        reader, offset = self._reader(), 0
        while chunk := await reader.read.remote(upload.id, offset):
            yield chunk
            offset += len(chunk)
        if offset != upload.bytes:
            raise ApiError(404, f"the file {upload.id!r} was deleted; upload it again", param="file_id")
