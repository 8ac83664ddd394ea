"""Hashes the content of files and arrays, by samples where they are large."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

WHOLE_UP_TO = 16 << 20  # bytes: smaller files are hashed whole
EDGE = 1 << 20  # bytes at the beginning and at the end of a larger one
BLOCK, BLOCKS = 1 << 16, 64  # evenly spread in between


def of_file(path: str) -> str:
    """Hash of a file's size and content: all of it up to 16 MiB, else both ends and 64 blocks in between."""
    size = os.path.getsize(path)
    digest = hashlib.sha256(f"file {size}\n".encode())
    with open(path, "rb") as file:
        if size <= WHOLE_UP_TO:
            digest.update(file.read())
        else:
            digest.update(file.read(EDGE))
            for offset in np.linspace(EDGE, size - EDGE - BLOCK, BLOCKS).astype(np.int64):
                file.seek(int(offset))
                digest.update(file.read(BLOCK))
            file.seek(size - EDGE)
            digest.update(file.read(EDGE))
    return digest.hexdigest()


def of_files(paths: Iterable[str], *parts: Any) -> str:
    """Hash of several files in order and of whatever else decides how they are read; not of their names.

    A path that cannot be read counts as such.
    """
    digest = hashlib.sha256(f"files {parts!r}\n".encode())
    for path in paths:
        digest.update((_of_readable(path) or "unreadable").encode())
    return digest.hexdigest()


def _of_readable(path: str) -> str | None:
    try:
        return of_file(path) if os.path.isfile(path) else None  # a pipe would be waited for
    except OSError:
        return None


def of_array(frames: np.ndarray, *parts: Any) -> str:
    """Hash of every byte of an array, its shape, and whatever else decides how it is read."""
    digest = hashlib.sha256(f"array {frames.shape} {parts!r}\n".encode())
    for frame in frames:
        digest.update(np.ascontiguousarray(frame).data)
    return digest.hexdigest()


def of_values(*parts: Any) -> str:
    """Hash of a few values, for what has no content that could be read twice."""
    return hashlib.sha256(f"words {parts!r}\n".encode()).hexdigest()
