"""The prefix cache: keys and values of watched videos up to the question, in memory or on disk.

On disk they survive the process: one folder for each (content of the file, moments watched, model). It is
written beside its place and renamed into it once it is safe on the disk, so that two processes can write and
read at once and none sees half an entry. A folder is locked while it is written; one without a lock was left
behind by a killed process.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from tempo.errors import NoRoomError, UsageError
from tempo.networks.compressor import PrefillState
from tempo.processing.batching import SegmentSpan
from tempo.storage.atomic_files import sync_folder
from tempo.storage.file_lock import lock
from tempo.user_cache import cache_root
from tempo.video.frames import Damage

from .cache_entry import (
    META,
    META_BEGINNING,
    PAST,
    CacheEntry,
    DamagedEntryError,
    DiskCacheEntry,
    MemoryCacheEntry,
    bytes_of,
    describe_chunk,
    description,
    open_entry,
)
from .cache_policy import CacheKind

DEFAULT_LIMIT_GB = 20.0
_WRITING = ".writing-"
# Where there are no locks, what nobody wrote to for so long is taken for left behind.
_ABANDONED_SECONDS = 3600
# A writer needs a moment between making its folder and locking it.
_LOCKED_WITHIN_SECONDS = 60


class MemoryCacheWriter:
    """Keeps on a device (the host is one too) for as long as the session lives."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.entries: list[MemoryCacheEntry] = []

    def add(self, segments: Sequence[SegmentSpan], state: PrefillState) -> None:
        kv_SK2GLE = state.cache.data.to(self.device)
        self.entries.append(MemoryCacheEntry(tuple(segments), kv_SK2GLE, state.position))

    def finish(self, *, damage: Damage) -> list[MemoryCacheEntry]:
        return self.entries


class DiskCacheWriter:
    """Writes one entry of a :class:`DiskCache`, out of sight until it is whole.

    Args:
        expected_bytes: counts for the cache's limit from now on; the file is given that size.

    Attributes:
        is_complete: whether the whole video is in it. If not, this session can read the entry, and it is
            removed with the session.
    """

    is_complete = True

    def __init__(self, cache: DiskCache, key: str, *, expected_bytes: int) -> None:
        self.cache = cache
        self.key = key
        self._chunks: list[dict[str, Any]] = []
        self._dtype = torch.float32
        cache.root.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix=_WRITING, dir=cache.root))
        try:
            self._file = (self.folder / PAST).open("wb", buffering=0)
        except OSError:
            self.folder.rmdir()
            raise
        with self._told():
            lock(self._file, wait=True)  # who looks whether we hold it does so for a moment
            self._file.truncate(expected_bytes)

    def add(self, segments: Sequence[SegmentSpan], state: PrefillState) -> None:
        """Raises NoRoomError: it cannot be written; nothing of the entry is left."""
        kv_SK2GLE = state.cache.data.cpu().contiguous()
        self._dtype = kv_SK2GLE.dtype
        self._chunks.append(describe_chunk(segments, kv_SK2GLE, state.position))
        with self._told():
            _write(self._file, bytes_of(kv_SK2GLE))

    def finish(self, *, damage: Damage) -> list[DiskCacheEntry]:
        """Raises NoRoomError: as `add`."""
        with self._told():
            self._file.truncate(self._file.tell())
            os.fsync(self._file.fileno())
            with (self.folder / META).open("wb", buffering=0) as meta:
                _write(meta, memoryview(description(self.key, self._dtype, damage, self._chunks)))
                os.fsync(meta.fileno())
            sync_folder(self.folder)
            # Open from now on: renaming or removing the folder does not matter any more.
            entries, _ = open_entry(self.folder, self.key)
        try:
            if self.is_complete:
                folder = self.folder.rename(self.cache.root / self.key)
                for entry in entries:
                    entry.file.path = folder / PAST
                sync_folder(self.cache.root)
        except OSError:  # another process was first, with the same content
            self.abandon()
        if not self.is_complete:
            self.abandon()
        self._file.close()
        self.cache.shrink(keep=self.key)
        return entries

    def abandon(self) -> None:
        """Remove what was written."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._file.close()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, DamagedEntryError) as error:
            self.abandon()
            reason = error.strerror if isinstance(error, OSError) else "what is written there is damaged"
            raise NoRoomError(
                f"{self.cache.root}: not writable ({reason}); use cache='host' or 'none'"
            ) from error


class DiskCache:
    """Watched videos on disk, the least recently used ones removed when they are too many.

    Args:
        root: the folder; None: `$TEMPO_CACHE`, else `tempo` in the user's cache folder.
        limit_bytes: what all of them may take; None: `$TEMPO_CACHE_GB`, else 20 GB.
    """

    def __init__(self, root: str | Path | None = None, *, limit_bytes: int | None = None) -> None:
        self.root = Path(root) if root is not None else cache_root()
        self.limit_bytes = limit_bytes if limit_bytes is not None else _default_limit()

    def open(self, key: str) -> tuple[list[DiskCacheEntry], Damage] | None:
        """What is kept under `key`, and what of it could not be shown; None: nothing.

        What is damaged, or of another version, is removed.
        """
        folder = self.root / key
        try:
            found = open_entry(folder, key)
        except OSError:  # not there, or not for us to read
            return None
        except DamagedEntryError:
            _remove(folder)
            return None
        self.touch(key)
        return found

    def has(self, key: str) -> bool:
        try:
            return (self.root / key / META).is_file()
        except OSError:  # not for us to see
            return False

    def touch(self, key: str) -> None:
        """Count an entry as used now; the least recently used ones are removed first."""
        with contextlib.suppress(OSError):  # where nothing can be written, nothing is removed either
            os.utime(self.root / key)

    def writer(self, key: str, *, expected_bytes: int) -> DiskCacheWriter:
        """Begin to write an entry.

        Raises:
            NoRoomError: it would be larger than the whole cache may be, or than the disk has room for; or the
                folder cannot be written to.
        """
        self.check_limit(expected_bytes)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self.shrink(room=expected_bytes)
            free = shutil.disk_usage(self.root).free
            if expected_bytes > free:
                raise NoRoomError(
                    f"caching this video needs {_gb(expected_bytes)}, and {self.root} has {_gb(free)} free: "
                    "set TEMPO_CACHE to another folder, or use cache='host' or 'none'"
                )
            return DiskCacheWriter(self, key, expected_bytes=expected_bytes)
        except OSError as error:
            raise NoRoomError(
                f"{self.root}: not writable ({error.strerror}); set TEMPO_CACHE to another folder"
            ) from error

    def check_limit(self, expected_bytes: int) -> None:
        """Raises NoRoomError for an entry that would be larger than the whole cache may be."""
        if expected_bytes > self.limit_bytes:
            raise NoRoomError(
                f"caching this video needs {_gb(expected_bytes)}, and the disk cache is limited to "
                f"{_gb(self.limit_bytes)}: raise TEMPO_CACHE_GB, lower max_frames, or use cache='none'"
            )

    def shrink(self, *, room: int = 0, keep: str | None = None) -> None:
        """Remove entries, the least recently used first, until `room` more bytes fit into the limit.

        What is being written counts too, and is left alone. What is left of a killed process is removed.
        """
        self._sweep()
        folders = list(self._folders())
        total = sum(size for _, size, _ in folders) + room
        for _, size, folder in sorted(folders, key=lambda found: found[0]):
            if total <= self.limit_bytes:
                return
            if folder.name != keep and not folder.name.startswith(_WRITING):
                _remove(folder)
                total -= size

    def _sweep(self) -> None:
        """Remove what was left behind by killed processes and by earlier versions."""
        for _, _, folder in list(self._folders()):
            with contextlib.suppress(OSError):
                if folder.name.startswith(_WRITING):
                    if _is_left_behind(folder):
                        shutil.rmtree(folder, ignore_errors=True)
                elif not _is_entry(folder):
                    _remove(folder)

    def _folders(self) -> Iterator[tuple[float, int, Path]]:
        """(last use, bytes, folder) of everything that is the cache's, and of nothing else in its folder."""
        try:
            inside = list(self.root.iterdir())
        except OSError:  # not there, or not for us to see
            return
        for folder in inside:
            try:
                used = folder.stat().st_mtime
                if (folder / PAST).is_file():
                    yield used, (folder / PAST).stat().st_size, folder
                elif folder.name.startswith(_WRITING):
                    yield used, 0, folder
            except OSError:  # no folder, or being removed by somebody else
                continue


def discard(entries: Sequence[CacheEntry]) -> None:
    """Remove what turned out to be damaged from the disk, unless something else has taken its place."""
    for file in {entry.file for entry in entries if isinstance(entry, DiskCacheEntry)}:
        with contextlib.suppress(OSError):
            if file.is_at(file.path):
                _remove(file.path.parent)


def check_room(expected_bytes: int, available_bytes: int, *, cache: CacheKind) -> None:
    """Raises NoRoomError when a video cannot be kept in memory, before any of it is watched."""
    if expected_bytes > available_bytes:
        raise NoRoomError(
            f"caching this video on the {cache} needs {_gb(expected_bytes)}, and {_gb(available_bytes)} are "
            "free: use cache='disk' or 'none', or lower max_frames"
        )


def _write(file: io.FileIO, data: memoryview) -> None:
    """All of it, or an OSError."""
    while data:
        data = data[file.write(data) or 0 :]


def _remove(folder: Path) -> None:
    """Remove an entry. Without its description it is none, should this be interrupted."""
    with contextlib.suppress(OSError):
        (folder / META).unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _is_entry(folder: Path) -> bool:
    """Whether this version wrote it, and wrote it to the end."""
    try:
        with (folder / META).open("rb") as meta:
            return meta.read(len(META_BEGINNING)) == META_BEGINNING
    except FileNotFoundError:
        return False


def _is_left_behind(folder: Path) -> bool:
    """Whether nobody writes to it any more."""
    try:
        with (folder / PAST).open("r+b") as file:
            age = time.time() - os.fstat(file.fileno()).st_mtime
            ours = lock(file, wait=False)
            if ours is None:
                return age > _ABANDONED_SECONDS
            return ours and (os.fstat(file.fileno()).st_size > 0 or age > _LOCKED_WITHIN_SECONDS)
    except FileNotFoundError:
        return time.time() - folder.stat().st_mtime > _LOCKED_WITHIN_SECONDS


def _default_limit() -> int:
    given = os.environ.get("TEMPO_CACHE_GB", str(DEFAULT_LIMIT_GB))
    try:
        limit = int(float(given) * 1e9)
    except (ValueError, OverflowError):
        limit = -1
    if limit < 0:
        raise UsageError(f"TEMPO_CACHE_GB={given!r} must be a number of gigabytes of at least 0")
    return limit


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 5e7 else f"{count / 1e6:.1f} MB"
