"""What is kept of a watched video, and the file format of a kept video on disk.

An entry on disk is a folder of two files: `past.bin` has the keys and values of one segment after another,
and `meta.json` says what they are, with a checksum for each segment and one for itself. Segments are read and
not mapped: where a mapped file is cut short, or its disk fails, the system kills the process. A segment is
checked each time it is read, so that no answer ever rests on one that is damaged.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import threading
import weakref
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tempo.errors import TempoError
from tempo.networks.kv_cache import ScratchBuffer
from tempo.processing.batching import SegmentSpan
from tempo.video.frames import Damage

PAST, META = "past.bin", "meta.json"
# Changed whenever what is written means something else. It stands at the very beginning of the description.
FORMAT = 3
META_BEGINNING = f'{{"format": {FORMAT}, '.encode()
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_BLOCK = 4096
_PIECE = 256 * _BLOCK  # so much is summed up while it is still in the processor's cache


class DamagedEntryError(TempoError):
    """What was kept of a video is not what was written; the video has to be watched again."""


@dataclass(frozen=True)
class MemoryCacheEntry:
    """Consecutive segments of equal layout, read up to where a question will stand."""

    segments: tuple[SegmentSpan, ...]
    kv_SK2GLE: torch.Tensor
    position: int

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return self.kv_SK2GLE.nbytes

    @property
    def row_shape(self) -> torch.Size:
        return self.kv_SK2GLE.shape[1:]

    def row(self, index: int, buffer: ScratchBuffer | None = None) -> torch.Tensor:
        """The keys and values [K, 2, G, L, E] of one segment."""
        return self.kv_SK2GLE[index]


@dataclass(frozen=True)
class DiskCacheEntry:
    """The same, in a file from `offset` on."""

    segments: tuple[SegmentSpan, ...]
    position: int
    row_shape: torch.Size
    dtype: torch.dtype
    file: SegmentFile
    offset: int
    checksums: tuple[int, ...]
    nbytes = 0  # of memory

    def row(self, index: int, buffer: ScratchBuffer | None = None) -> torch.Tensor:
        """The keys and values [K, 2, G, L, E] of one segment, read and checked.

        Args:
            buffer: where to read them to; what was read there before is overwritten. None: fresh memory.

        Raises:
            DamagedEntryError: they are not what was written.
        """
        row = (buffer or ScratchBuffer()).reserve(
            self.row_shape, dtype=self.dtype, device=torch.device("cpu")
        )
        found = self.file.read(row, self.offset + index * row.nbytes)
        if found != self.checksums[index]:
            raise DamagedEntryError(f"{self.file.path}: damaged; the video has to be watched again")
        return row


CacheEntry = MemoryCacheEntry | DiskCacheEntry
"""Consecutive segments of equal layout, read up to where a question will stand."""


def entries_within(entries: Iterable[DiskCacheEntry], start: int, stop: int) -> list[DiskCacheEntry]:
    """The segments from index `start` up to `stop` of a whole video's entries on disk."""
    found = []
    for entry in entries:
        rows = [row for row, segment in enumerate(entry.segments) if start <= segment.index < stop]
        if rows:
            cut = slice(rows[0], rows[-1] + 1)
            offset = entry.offset + rows[0] * entry.row_shape.numel() * entry.dtype.itemsize
            found.append(
                replace(entry, segments=entry.segments[cut], checksums=entry.checksums[cut], offset=offset)
            )
    return found


class SegmentFile:
    """Segments in a file. It stays readable when the file is removed, and may be used from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = io.FileIO(path)
        self._lock = threading.Lock()
        weakref.finalize(self, self._file.close)

    def read(self, row: torch.Tensor, offset: int) -> int:
        """Fill a contiguous tensor with what stands from `offset` on; return the checksum of it.

        Raises:
            DamagedEntryError: the file ends before, or cannot be read there.
        """
        data = bytes_of(row)
        value = 0
        try:
            with self._lock:
                self._file.seek(offset)
                for start in range(0, len(data), _PIECE):
                    piece = data[start : start + _PIECE]
                    self._fill(piece)
                    value = checksum(piece, value)
        except OSError as error:
            raise DamagedEntryError(
                f"{self.path}: cannot be read ({error.strerror}); the video has to be watched again"
            ) from error
        return value

    @property
    def is_removed(self) -> bool:
        """Whether it has no name any more; it takes room until nobody reads it."""
        return os.fstat(self._file.fileno()).st_nlink == 0

    def touch(self) -> None:
        """Count as used now: what was not used for longest is removed first."""
        with contextlib.suppress(OSError):  # it is removed, or not ours to write
            os.utime(self.path.parent)

    def is_at(self, path: Path) -> bool:
        """Whether this very file is found under a path. Raises OSError: nothing is."""
        return os.path.samestat(os.fstat(self._file.fileno()), path.stat())

    def _fill(self, piece: memoryview) -> None:
        filled = 0
        while filled < len(piece):
            count = self._file.readinto(piece[filled:])
            if not count:
                raise DamagedEntryError(f"{self.path}: cut short; the video has to be watched again")
            filled += count


def bytes_of(tensor: torch.Tensor) -> memoryview:
    """The memory of a contiguous tensor on the host."""
    return memoryview(tensor.view(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]


def checksum(data: memoryview, value: int = 0) -> int:
    """CRC-32 over the sums of all blocks of 4 KiB, as 64-bit words, and over the bytes behind the last block.

    It finds every changed byte, and blocks that are zeroed, old or in each other's place, at ten times the
    speed of a CRC over all bytes. It does not find words that changed places within a block.

    Args:
        data: bytes, uint8.
        value: the checksum of what stands before them, which has to be whole blocks.
    """
    whole = len(data) // _BLOCK * _BLOCK
    sums = np.frombuffer(data[:whole], np.uint64).reshape(-1, _BLOCK // 8).sum(axis=1)
    return zlib.crc32(data[whole:], zlib.crc32(sums.data, value))


def row_checksums(kv_SK2GLE: torch.Tensor) -> list[int]:
    """The checksum of each segment of a contiguous tensor on the host."""
    return [_checksum_of_row(bytes_of(row)) for row in kv_SK2GLE]


def _checksum_of_row(row: memoryview) -> int:
    value = 0
    for start in range(0, len(row), _PIECE):
        value = checksum(row[start : start + _PIECE], value)
    return value


def describe_chunk(segments: Sequence[SegmentSpan], kv_SK2GLE: torch.Tensor, position: int) -> dict[str, Any]:
    """What the description says of consecutive segments of equal layout, contiguous and on the host."""
    return {
        "segments": [asdict(segment) for segment in segments],
        "shape": list(kv_SK2GLE.shape),
        "position": position,
        "checksums": row_checksums(kv_SK2GLE),
    }


def description(key: str, dtype: torch.dtype, damage: Damage, chunks: list[dict[str, Any]]) -> bytes:
    """The content of `meta.json`."""
    name = str(dtype).removeprefix("torch.")
    body = {"key": key, "dtype": name, "damage": asdict(damage), "chunks": chunks}
    return json.dumps({"format": FORMAT, "checksum": _checksum_of(body), **body}).encode()


def open_entry(folder: Path, key: str) -> tuple[list[DiskCacheEntry], Damage]:
    """What is kept in a folder under `key`, and what of it could not be shown.

    Segments are read and checked later, one by one.

    Raises:
        OSError: it is not there, or cannot be read.
        DamagedEntryError: it is not what was written, or another version of tempo wrote it.
    """
    try:
        return _open(folder, key)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedEntryError(f"{folder}: damaged ({error})") from error


def _open(folder: Path, key: str) -> tuple[list[DiskCacheEntry], Damage]:
    meta = json.loads((folder / META).read_bytes())
    if meta.pop("format") != FORMAT:
        raise ValueError("another format")
    if meta.pop("checksum") != _checksum_of(meta) or meta["key"] != key:
        raise ValueError("not what was written")
    dtype = _DTYPES[meta["dtype"]]
    file = SegmentFile(folder / PAST)
    entries, at = [], 0
    for chunk in meta["chunks"]:
        shape, checksums = torch.Size(chunk["shape"]), tuple(chunk["checksums"])
        segments = tuple(SegmentSpan(**segment) for segment in chunk["segments"])
        if not len(segments) == len(checksums) == shape[0]:
            raise ValueError("segments are missing")
        entries.append(DiskCacheEntry(segments, chunk["position"], shape[1:], dtype, file, at, checksums))
        at += shape.numel() * dtype.itemsize
    if (folder / PAST).stat().st_size != at:
        raise ValueError("cut short")
    return entries, Damage.of_values(meta["damage"])


def _checksum_of(body: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(body).encode())
