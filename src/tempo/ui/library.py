"""The library: files that the operator lets every visitor open, without telling where they are."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tempo.errors import TempoError
from tempo.serving.api_errors import ApiError
from tempo.video.images.image_sources import SUFFIXES as IMAGES

from .frames import Frames, LatestFrames

VIDEOS = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts",
    ".wmv", ".flv", ".3gp", ".ogv", ".mxf", ".vob", ".mjpeg", ".mjpg",
)  # fmt: skip
KINDS = (*VIDEOS, *IMAGES)
MAX_LISTED = 60  # in answer to one search
MAX_SCANNED = 20_000  # folder entries that are looked at
LISTED_SECONDS = 5.0  # for which a listing is searched, before the folders are looked at again
COVER_TIME = 0.2  # of the duration: where the cover of a video is taken


@dataclass(frozen=True)
class LibraryVideo:
    """A file that may be opened. `id` is its folder's name and its path beneath that, never a full path."""

    id: str
    path: Path

    @property
    def title(self) -> str:
        return self.path.name


class Library:
    """The files that the operator named, and everything beneath the folders.

    Args:
        roots: files and folders.
    """

    def __init__(self, roots: Sequence[str | Path] = ()) -> None:
        """Raises TempoError for a path that does not exist."""
        self._roots: dict[str, Path] = {}
        for path in map(Path, roots):
            if not path.exists():
                raise TempoError(f"{path}: no such file or folder; check the path")
            resolved = path.resolve()
            name, number = resolved.name or "files", 1
            while name in self._roots:
                number += 1
                name = f"{resolved.name} ({number})"
            self._roots[name] = resolved
        self._covers: LatestFrames[tuple[str, int]] = LatestFrames()
        self._listing = threading.Lock()
        self._listed: list[LibraryVideo] = []
        self._listed_until = 0.0

    def __bool__(self) -> bool:
        return bool(self._roots)

    @property
    def first_file(self) -> LibraryVideo | None:
        """The first file that was named itself, which the page opens at once."""
        return next((LibraryVideo(name, root) for name, root in self._roots.items() if root.is_file()), None)

    def search(self, words: str = "") -> tuple[list[LibraryVideo], int]:
        """At most MAX_LISTED videos whose id has every one of WORDS, and how many there are."""
        wanted = words.casefold().split()
        found = [one for one in self._list() if all(word in one.id.casefold() for word in wanted)]
        return found[:MAX_LISTED], len(found)

    def get(self, identity: str) -> LibraryVideo:
        """The video with this id.

        Raises:
            ApiError: there is none, or it is outside the library; which of the two is not revealed.
        """
        name, _, rest = identity.partition("/")
        root = self._roots.get(name)
        if root is not None:
            path = self._beneath(root, rest)
            if path is not None:
                return LibraryVideo(identity, path)
        raise ApiError(
            404, f"{identity[:200]}: not in the library; choose one that is listed", param="library"
        )

    def cover(self, video: LibraryVideo) -> bytes | None:
        """A frame of a video as JPEG; None where none can be decoded."""
        key = (video.id, video.path.stat().st_mtime_ns)

        def make() -> bytes | None:
            frames = Frames(video.path)
            return frames.jpeg(COVER_TIME * frames.duration)

        return self._covers.get(key, make)

    def _list(self) -> list[LibraryVideo]:
        """All videos, as they were a moment ago: whoever types a name searches once a letter."""
        with self._listing:
            if time.monotonic() >= self._listed_until:
                self._listed = list(self._all())
                self._listed_until = time.monotonic() + LISTED_SECONDS
            return self._listed

    def _all(self) -> Iterator[LibraryVideo]:
        scanned = 0
        for name, root in self._roots.items():
            if root.is_file():
                yield LibraryVideo(name, root)
                continue
            for folder, folders, files in os.walk(root):
                folders[:] = sorted(one for one in folders if not one.startswith("."))
                for file in sorted(files):
                    scanned += 1
                    rest = Path(folder, file).relative_to(root).as_posix()
                    path = self._beneath(root, rest) if file.lower().endswith(KINDS) else None
                    if path is not None:
                        yield LibraryVideo(f"{name}/{rest}", path)
                if scanned > MAX_SCANNED:
                    return

    @staticmethod
    def _beneath(root: Path, rest: str) -> Path | None:
        """The video at REST beneath ROOT, symbolic links resolved; None where that is none or elsewhere."""
        if not rest:
            return root if root.is_file() else None
        parts = rest.split("/")
        if any(part.startswith(".") or not part for part in parts) or not rest.lower().endswith(KINDS):
            return None
        try:
            path = (root / rest).resolve(strict=True)
            return path if path.is_relative_to(root) and path.is_file() else None
        except (OSError, ValueError, RuntimeError):
            return None


def check_kind(name: str) -> None:
    """Raises ApiError where a file's name says that it is neither a video nor an image."""
    suffix = Path(name).suffix.lower()
    if suffix not in KINDS:
        kind = suffix or "a file without a suffix"
        raise ApiError(
            415,
            f"{name[:200]}: {kind} is not supported; choose a video (mp4, mov, mkv, webm, avi …) or an image "
            "(gif, png, jpg …)",
        )
