"""Where the question-free part of a watched video is kept: on the device, on the host, or on disk.

What is kept of a segment is the compressor's keys and values up to the question. On disk it survives the
process: a folder for each (content of the file, moments watched, model), written beside its place and renamed
into it, so that two processes can write and read at once and nobody ever sees half of one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from tempo.errors import NoRoomError, TempoError, UsageError
from tempo.modeling.compressor import Reading
from tempo.watching import Moment

CacheKind = Literal["device", "host", "disk", "none", "auto"]
CACHES: tuple[CacheKind, ...] = get_args(CacheKind)
DEFAULT_LIMIT_GB = 20.0
# Changed whenever what is written means something else.
_FORMAT = 1
_ABANDONED_SECONDS = 3600


@dataclass(frozen=True)
class Kept:
    """Consecutive segments of equal layout, read up to where a question will stand."""

    moments: tuple[Moment, ...]
    past_SK2HLE: torch.Tensor
    position: int

    def row(self, index: int) -> torch.Tensor:
        """The keys and values [K, 2, H, L, E] of one segment."""
        return self.past_SK2HLE[index]


class MemoryShelf:
    """Keeps on a device (the host is one too) for as long as the session lives."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.kept: list[Kept] = []

    def add(self, moments: Sequence[Moment], reading: Reading) -> None:
        self.kept.append(Kept(tuple(moments), reading.past.data.to(self.device), reading.position))

    def finish(self, *, lost_seconds: float) -> list[Kept]:
        return self.kept


class DiskShelf:
    """Writes one entry of a :class:`DiskCache`, out of sight until it is whole."""

    def __init__(self, cache: DiskCache, key: str) -> None:
        self.cache = cache
        self.key = key
        cache.root.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix=".writing-", dir=cache.root))
        self._file = (self.folder / "past.bin").open("wb")
        self._chunks: list[dict[str, Any]] = []
        self._dtype = ""

    def add(self, moments: Sequence[Moment], reading: Reading) -> None:
        data = reading.past.data.cpu().contiguous()
        self._dtype = str(data.dtype).removeprefix("torch.")
        self._chunks.append(
            {
                "moments": [asdict(moment) for moment in moments],
                "shape": list(data.shape),
                "position": reading.position,
            }
        )
        try:
            data.view(torch.uint8).numpy().tofile(self._file)
        except OSError as error:
            self.abandon()
            raise TempoError(
                f"{self.cache.root}: cannot write there ({error.strerror}); use cache='host' or 'none'"
            ) from error

    def finish(self, *, lost_seconds: float) -> list[Kept]:
        self._file.close()
        meta = {"format": _FORMAT, "dtype": self._dtype, "lost_seconds": lost_seconds, "chunks": self._chunks}
        (self.folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
        kept = _read(self.folder)[
            0
        ]  # mapped by now: renaming or removing the folder does not matter any more
        try:
            self.folder.rename(self.cache.root / self.key)
        except OSError:  # another process was first, with the same content
            self.abandon()
        self.cache.shrink(keep=self.key)
        return kept

    def abandon(self) -> None:
        """Remove what was written."""
        self._file.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class DiskCache:
    """Watched videos on disk, the least recently used ones removed when they are too many.

    Args:
        root: the folder; None: `$TEMPO_CACHE`, else `tempo` in the user's cache folder.
        limit_bytes: what all of them may take; None: `$TEMPO_CACHE_GB`, else 20 GB.
    """

    def __init__(self, root: str | Path | None = None, *, limit_bytes: int | None = None) -> None:
        self.root = Path(root) if root is not None else _default_root()
        self.limit_bytes = limit_bytes if limit_bytes is not None else _default_limit()

    def open(self, key: str) -> tuple[list[Kept], float] | None:
        """What is kept under `key`, and how many seconds of it could not be decoded; None: nothing."""
        folder = self.root / key
        try:
            kept = _read(folder)
            os.utime(folder)  # the last use
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RuntimeError):  # damaged: as good as not there
            shutil.rmtree(folder, ignore_errors=True)
            return None
        return kept

    def has(self, key: str) -> bool:
        return (self.root / key / "meta.json").is_file()

    def shelf(self, key: str, *, expected_bytes: int) -> DiskShelf:
        """Begin to write an entry.

        Raises:
            NoRoomError: it would be larger than the whole cache may be, or than the disk has room for.
            TempoError: the folder cannot be written to.
        """
        if expected_bytes > self.limit_bytes:
            raise NoRoomError(
                f"keeping this video takes {_gb(expected_bytes)}, and the disk cache is limited to "
                f"{_gb(self.limit_bytes)}: raise TEMPO_CACHE_GB, lower max_frames, or use cache='none'"
            )
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._sweep()
            self.shrink(room=expected_bytes)
            free = shutil.disk_usage(self.root).free
            if expected_bytes > free:
                raise NoRoomError(
                    f"keeping this video takes {_gb(expected_bytes)}, and {self.root} has {_gb(free)} free: "
                    "set TEMPO_CACHE to another folder, or use cache='host' or 'none'"
                )
            return DiskShelf(self, key)
        except OSError as error:
            raise TempoError(
                f"{self.root}: cannot write there ({error.strerror}); set TEMPO_CACHE to another folder"
            ) from error

    def shrink(self, *, room: int = 0, keep: str | None = None) -> None:
        """Remove entries, the least recently used first, until `room` more bytes fit into the limit."""
        entries = sorted(self._entries(), key=lambda entry: entry[0])
        total = sum(size for _, size, _ in entries) + room
        for _, size, folder in entries:
            if total <= self.limit_bytes:
                return
            if folder.name != keep:
                shutil.rmtree(folder, ignore_errors=True)
                total -= size

    def _sweep(self) -> None:
        """Remove what processes left behind that were killed while writing."""
        for folder in self.root.glob(".writing-*"):
            with contextlib.suppress(OSError):
                if time.time() - (folder / "past.bin").stat().st_mtime > _ABANDONED_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        """(last use, bytes, folder) of every whole entry."""
        for folder in self.root.iterdir() if self.root.is_dir() else ():
            try:
                if not folder.name.startswith("."):
                    yield folder.stat().st_mtime, (folder / "past.bin").stat().st_size, folder
            except OSError:  # being removed by somebody else
                continue


def check_kind(cache: str) -> CacheKind:
    """Raises UsageError for a place that does not exist."""
    if cache not in CACHES:
        raise UsageError(f"cache={cache!r}: it can be {', '.join(CACHES)}")
    return cache


def check_room(expected_bytes: int, available_bytes: int, *, cache: CacheKind) -> None:
    """Raises NoRoomError when a video cannot be kept in memory, before any of it is watched."""
    if expected_bytes > available_bytes:
        raise NoRoomError(
            f"keeping this video on the {cache} takes {_gb(expected_bytes)}, and {_gb(available_bytes)} are "
            "free: use cache='disk' or 'none', or lower max_frames"
        )


def _read(folder: Path) -> tuple[list[Kept], float]:
    """Map an entry into memory: pages are read when they are needed, and stay readable if it is removed."""
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    if meta["format"] != _FORMAT:
        raise ValueError(f"format {meta['format']}")
    dtype = getattr(torch, meta["dtype"])
    shapes = [torch.Size(chunk["shape"]) for chunk in meta["chunks"]]
    total = sum(shape.numel() for shape in shapes)
    file = folder / "past.bin"
    if file.stat().st_size != total * dtype.itemsize:
        raise ValueError("truncated")
    data = torch.from_file(str(file), shared=False, size=total, dtype=dtype)
    kept, at = [], 0
    for chunk, shape in zip(meta["chunks"], shapes, strict=True):
        past = data[at : at + shape.numel()].view(shape)
        kept.append(Kept(tuple(Moment(**moment) for moment in chunk["moments"]), past, chunk["position"]))
        at += shape.numel()
    return kept, float(meta["lost_seconds"])


def _default_root() -> Path:
    if given := os.environ.get("TEMPO_CACHE"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tempo"


def _default_limit() -> int:
    given = os.environ.get("TEMPO_CACHE_GB", str(DEFAULT_LIMIT_GB))
    try:
        return int(float(given) * 1e9)
    except (ValueError, OverflowError):
        raise UsageError(f"TEMPO_CACHE_GB={given!r} is not a number of gigabytes") from None


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 5e7 else f"{count / 1e6:.1f} MB"
