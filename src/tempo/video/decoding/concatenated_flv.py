"""Reads Flash files that were concatenated byte by byte as one file, leaving out the inner headers."""

from __future__ import annotations

import os
from typing import BinaryIO

HEADER = 13  # bytes of a Flash header, with the length of the tag before it
_SIGNATURE = b"FLV\x01"


def inner_headers(path: str) -> tuple[int, ...]:
    """The offsets at which further recordings begin in a local file; empty if it holds only one."""
    found: list[int] = []
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if file.read(len(_SIGNATURE)) != _SIGNATURE:
                return ()
            at = HEADER
            while at + 15 <= size:
                file.seek(at)
                tag = file.read(11)
                if tag[:4] == _SIGNATURE:
                    found.append(at)
                    at += HEADER
                    continue
                if tag[0] & 0x1F not in (8, 9, 18):
                    break
                at += 15 + int.from_bytes(tag[1:4], "big")
    except OSError:
        return ()
    return tuple(found)


class JoinedFile:
    """A file object that leaves out the headers at the given offsets."""

    def __init__(self, path: str, headers: tuple[int, ...]) -> None:
        self._file: BinaryIO = open(path, "rb")  # noqa: SIM115
        size = os.fstat(self._file.fileno()).st_size
        starts = [0, *(header + HEADER for header in headers)]
        self._parts = list(zip(starts, [*headers, size], strict=True))
        self._at = 0
        self._size = sum(end - start for start, end in self._parts)

    def read(self, count: int = -1) -> bytes:
        """Up to `count` bytes from here on."""
        wanted = self._size - self._at if count < 0 else min(count, self._size - self._at)
        pieces, skip = [], self._at
        for start, end in self._parts:
            length = end - start
            if wanted > 0 and skip < length:
                self._file.seek(start + skip)
                pieces.append(self._file.read(min(wanted, length - skip)))
                wanted -= len(pieces[-1])
                self._at += len(pieces[-1])
            skip = max(0, skip - length)
        return b"".join(pieces)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, min(self._size, base + offset))
        return self._at

    def tell(self) -> int:
        """The position."""
        return self._at

    def __del__(self) -> None:
        self._file.close()  # a container does not close what it was given to read from
