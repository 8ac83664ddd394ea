"""Files that clients sent to the API server, on their way to workers on other machines."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tempo.serving.api_errors import ApiError
from tempo.serving.uploads import Upload, Uploads

NAMESPACE = "tempo"
_CHUNK = 4 << 20  # bytes, of which each passes through the memory of both machines


@dataclass(frozen=True)
class SentFile:
    """A file that a client sent, and the name of the actor that reads it for workers."""

    upload: Upload
    reader: str


class FileReader:
    """An actor on the machine of the API server: reads the files of its folder.

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


def start_reader(ray: Any) -> tuple[Any, str]:
    """Start a reader on this machine, which ends with this process; its name is one that no other has."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    name = f"tempo-files-{secrets.token_hex(8)}"
    actor = ray.remote(FileReader).options(
        name=name,
        namespace=NAMESPACE,
        num_cpus=0,
        scheduling_strategy=here,
        max_concurrency=8,
    )
    return actor.remote(), name


class CopiedFiles:
    """A worker's copies of the files that clients sent to the API server.

    Args:
        uploads: of the worker; the copies have the identities of the originals there.
    """

    def __init__(self, ray: Any, uploads: Uploads) -> None:
        self._ray, self._uploads = ray, uploads
        self._locks: dict[str, asyncio.Lock] = {}
        self._readers: dict[str, str] = {}  # of each copy

    async def bring(self, sent: SentFile) -> None:
        """Copy a file unless it is here. Raises ApiError where it was deleted meanwhile."""
        upload = sent.upload
        async with self._locks.setdefault(upload.id, asyncio.Lock()):
            if not any(one.id == upload.id for one in self._uploads.all()):
                self._readers[upload.id] = sent.reader
                await self._uploads.add(
                    self._chunks(sent), name=upload.name, purpose=upload.purpose, identity=upload.id
                )

    async def forget_deleted(self, *others: str | None) -> set[str]:
        """Remove the copies of files that were deleted, or whose reader has ended.

        Args:
            others: names of readers that are looked for too.

        Returns:
            The names of the readers that have ended.

        Raises:
            RayError: one is out of reach.
        """
        from ray.exceptions import ActorDiedError

        held: dict[str, list[str]] = {name: [] for name in others if name is not None}
        for upload in self._uploads.all():
            held.setdefault(self._readers[upload.id], []).append(upload.id)
        ended = set()
        for name, identities in held.items():
            deleted = identities
            try:
                deleted = await (await self._reader(name)).gone.remote(identities)
            except (ActorDiedError, ValueError):  # ValueError: no actor of that name
                ended.add(name)
            for identity in deleted:
                self._locks.pop(identity, None)
                self._readers.pop(identity, None)
                with contextlib.suppress(ApiError):  # its time was over too
                    self._uploads.remove(identity)
        return ended

    async def _reader(self, name: str) -> Any:
        # Ray's directory of actors may be slow to answer, and other requests go on meanwhile.
        return await asyncio.to_thread(self._ray.get_actor, name, namespace=NAMESPACE)

    async def _chunks(self, sent: SentFile) -> AsyncIterator[bytes]:
        upload, offset = sent.upload, 0
        reader = await self._reader(sent.reader)
        while chunk := await reader.read.remote(upload.id, offset):
            yield chunk
            offset += len(chunk)
        if offset != upload.bytes:
            raise ApiError(404, f"the file {upload.id!r} was deleted; upload it again", param="file_id")
