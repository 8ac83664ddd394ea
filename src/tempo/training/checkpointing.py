"""What a run resumes from: files that are there whole or not at all."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

import torch

from tempo.errors import TempoError
from tempo.formatting import size
from tempo.storage.atomic_files import replacing

_NAME = "step-{:08d}.pt"
_BEST = "best.pt"


class CheckpointManager:
    """The checkpoints in a folder: the latest `keep` of them, and the best."""

    def __init__(self, folder: Path, *, keep: int) -> None:
        self.folder = folder
        self.keep = keep

    def files(self) -> list[Path]:
        """Oldest first."""
        return sorted(self.folder.glob("step-*.pt"))

    def save(self, step: int, state: dict[str, Any]) -> Path:
        """Write beside its place, make sure of it, move it there, and only then remove what is too old.

        Raises:
            TempoError: there is no room, or the folder cannot be written; the previous checkpoint is whole.
        """
        path = self._write(self.folder / _NAME.format(step), state)
        for old in self.files()[: -self.keep]:
            old.unlink(missing_ok=True)
        return path

    def save_best(self, state: dict[str, Any]) -> Path:
        """Write the best checkpoint so far in the place of the one that was.

        Raises:
            TempoError: as `save`.
        """
        return self._write(self.folder / _BEST, state)

    def load_best(self) -> dict[str, Any] | None:
        """The best checkpoint; None where none was better than the start.

        Raises:
            TempoError: it is damaged.
        """
        path = self.folder / _BEST
        return _read(path) if path.exists() else None

    def _write(self, path: Path, state: dict[str, Any]) -> Path:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for old in self.folder.glob("*.part"):
                old.unlink()
            _check_room(self.folder, _bytes(state))
            with replacing(path) as part, part.open("wb") as stream:
                torch.save(state, stream)
        except (OSError, RuntimeError) as error:  # torch's writer raises RuntimeError when a write fails
            reason = error.strerror if isinstance(error, OSError) and error.strerror else _line(error)
            before = self.files()
            whole = (
                f"; {before[-1].name} is complete; free some space and resume" if before else "; make room"
            )
            raise TempoError(f"{path}: could not be written ({reason}){whole}") from error
        return path

    def load(self) -> tuple[Path, dict[str, Any]] | None:
        """The latest checkpoint; None where there is none yet.

        Raises:
            TempoError: it is damaged.
        """
        files = self.files()
        if not files:
            return None
        return files[-1], _read(files[-1])


def _read(path: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise TempoError(
            f"{path}: damaged ({_line(error)}); remove it to resume from the one before"
        ) from error
    return state


def _bytes(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return value.nbytes
    if isinstance(value, dict):
        return sum(map(_bytes, value.values()))
    return sum(map(_bytes, value)) if isinstance(value, list | tuple) else 0


def _check_room(folder: Path, needed: int) -> None:
    """Torch's writer takes minutes to find out that a disk is full, and says it badly."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"{size(needed)} are needed and {size(free)} are free")


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
