"""Checks of a path before anything is opened: each refusal is one line that says what to do."""

from __future__ import annotations

import os

from tempo.errors import TempoError, UsageError
from tempo.number_checks import shown

from .remote import PLAYLISTS


def as_text(path: object) -> str:
    """The path as text. Raises UsageError for what is no path."""
    if not isinstance(path, str | bytes | os.PathLike):
        raise UsageError(f"a video is a path or an address, not {type(path).__name__}: {shown(path)}")
    return os.fsdecode(path)


def _without_waiting(path: str, flags: int) -> int:
    """Some files of /proc wait for something to read; those are no videos."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def check_readable(path: str) -> None:
    """Raises TempoError, or UsageError for an empty path: no file there can be read as a video."""
    if not path:
        raise UsageError("the path of the video is empty; give a file, a folder or an http(s) URL")
    if path.lower().startswith(("http:/", "https:/")):  # of what has two slashes, Path() leaves one
        raise TempoError(
            f"{path}: an address begins with http:// or https://; give it as text, not as a Path"
        )
    if not os.path.exists(path):
        raise TempoError(f"{path}: no such file; check the path")
    if not os.access(path, os.R_OK):
        raise TempoError(f"{path}: not readable; check its permissions")
    if not os.path.isfile(path):
        raise TempoError(f"{path}: not a file; give a video file, an image or a folder of images")
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            beginning = file.read(16)
    except OSError as error:
        raise TempoError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if not beginning:
        raise TempoError(f"{path}: the file is empty; was it downloaded or copied completely?")
    if beginning.startswith(PLAYLISTS):
        raise TempoError(f"{path}: a playlist, not a video; give the video file that it names")
