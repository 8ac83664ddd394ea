"""Access control: a page may open what it uploaded and what the operator allows."""

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
MAX_LISTED = 200  # files in the drop-down; others can still be typed
MAX_SCANNED = 20_000  # folder entries that are searched for them


class Access:
    """The files and folders that the operator allows.

    Args:
        allowed: files, and folders with everything beneath them.
        upload_bytes: how large an upload may be.
    """

    def __init__(self, allowed: Sequence[str | Path] = (), *, upload_bytes: int) -> None:
        """Raises TempoError for a path that does not exist."""
        self.upload_bytes = upload_bytes
        self._roots: list[Path] = []
        for path in map(Path, allowed):
            if not path.exists():
                raise TempoError(f"{path}: no such file or folder; check the path")
            self._roots.append(path.resolve())

    def __bool__(self) -> bool:
        return bool(self._roots)

    def listing(self) -> list[str]:
        """Allowed videos and images, at most MAX_LISTED of them."""
        found: list[str] = []
        for root in self._roots:
            for path in _beneath(root):
                if len(found) == MAX_LISTED:
                    return found
                found.append(str(path))
        return found

    def allowed(self, text: str) -> Path:
        """Resolve a path that was typed into the page.

        Raises:
            TempoError: the path is outside what the operator allows; whether it exists is not revealed.
        """
        text = text.strip()
        if not text:
            raise TempoError("no file is chosen; choose one or type its path")
        try:
            path = Path(text).resolve()
        except (OSError, ValueError, RuntimeError):
            path = Path("/")
        if not any(path == root or path.is_relative_to(root) for root in self._roots):
            raise TempoError(f"{text}: the operator does not allow this path; upload the file instead")
        if not path.exists():
            raise TempoError(f"{text}: no such file; check the path")
        return path

    def uploaded(self, path: Path) -> Path:
        """Check the suffix and the size of an uploaded file.

        Raises:
            TempoError: it is neither a video nor an image, or it is too large.
        """
        if path.suffix.lower() not in KINDS:
            kind = path.suffix or "a file without a suffix"
            raise TempoError(
                f"{path.name}: {kind} is not supported; upload a video (mp4, mov, mkv, webm, avi …) "
                "or an image (gif, png, jpg …)"
            )
        if path.stat().st_size > self.upload_bytes:
            raise TempoError(
                f"{path.name}: has {size(path.stat().st_size)}; uploads are limited to "
                f"{size(self.upload_bytes)}"
            )
        return path


def _beneath(root: Path) -> Iterator[Path]:
    """The videos and images below ROOT, sorted by name; ROOT itself if it is a file."""
    if root.is_file():
        yield root
        return
    scanned = 0
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            scanned += 1
            if name.lower().endswith(KINDS) and not name.startswith("."):
                yield Path(folder, name)
        if scanned > MAX_SCANNED:
            return
