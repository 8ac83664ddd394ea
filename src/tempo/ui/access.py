"""Which files may be opened: what the visitor uploaded, and what the operator named."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from tempo.errors import TempoError
from tempo.formatting import size
from tempo.video.images.image_sources import SUFFIXES as IMAGES

VIDEOS = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts",
    ".wmv", ".flv", ".3gp", ".ogv", ".mxf", ".vob", ".mjpeg", ".mjpg",
)  # fmt: skip
KINDS = (*VIDEOS, *IMAGES)
LISTED = 200  # files that are offered for choice, at most; others can still be typed
LOOKED_AT = 20_000  # entries of folders that are looked at for them


class Access:
    """The files and folders that the operator allows.

    Args:
        allowed: files, and folders with everything beneath them.
        upload_bytes: how large an upload may be.
    """

    def __init__(self, allowed: Sequence[str | Path] = (), *, upload_bytes: int) -> None:
        """Raises TempoError for a path that is not there."""
        self.upload_bytes = upload_bytes
        self._roots: list[Path] = []
        for path in map(Path, allowed):
            if not path.exists():
                raise TempoError(f"{path}: no such file or folder; check the path")
            self._roots.append(path.resolve())

    def __bool__(self) -> bool:
        return bool(self._roots)

    def listing(self) -> list[str]:
        """Allowed files of a kind that can be opened, at most LISTED of them."""
        found: list[str] = []
        for root in self._roots:
            for path in _beneath(root):
                if len(found) == LISTED:
                    return found
                found.append(str(path))
        return found

    def allowed(self, text: str) -> Path:
        """Return the path that a visitor typed, resolved.

        Raises:
            TempoError: it is outside what the operator allows. Whether it exists is not told.
        """
        text = text.strip()
        if not text:
            raise TempoError("no file is named; choose one, or type its path")
        try:
            path = Path(text).resolve()
        except (OSError, ValueError, RuntimeError):
            path = Path("/")
        if not any(path == root or path.is_relative_to(root) for root in self._roots):
            raise TempoError(f"{text}: may not be opened here; upload it, or ask the operator to allow it")
        if not path.exists():
            raise TempoError(f"{text}: no such file; check the path")
        return path

    def uploaded(self, path: Path) -> Path:
        """Check a file that was uploaded: its kind by the name and its size.

        Raises:
            TempoError: it is of another kind, or too large.
        """
        if path.suffix.lower() not in KINDS:
            kind = path.suffix or "a file without an ending"
            raise TempoError(
                f"{path.name}: {kind} is not a kind that can be opened; it can be a video "
                "(mp4, mov, mkv, webm, avi …) or an image (gif, png, jpg …)"
            )
        if path.stat().st_size > self.upload_bytes:
            raise TempoError(
                f"{path.name}: has {size(path.stat().st_size)}, and uploads may have "
                f"{size(self.upload_bytes)} at most"
            )
        return path


def _beneath(root: Path) -> Iterator[Path]:
    """Files of a fitting kind in ROOT and its folders, in the order of their names; ROOT itself if a file."""
    if root.is_file():
        yield root
        return
    looked_at = 0
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            looked_at += 1
            if name.lower().endswith(KINDS) and not name.startswith("."):
                yield Path(folder, name)
        if looked_at > LOOKED_AT:
            return
