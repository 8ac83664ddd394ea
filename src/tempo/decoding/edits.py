"""How an MP4 or QuickTime file is edited: which parts of its media are shown, one after the other."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_CONTAINERS = (b"trak", b"edts")
_LONGEST_INDEX = 1 << 28  # bytes


def has_several_edits(path: str) -> bool:
    """Whether any track of a local file shows more than one part of its media.

    libavformat then repeats packets, and its times step back by the decoder's delay where a part begins.
    """
    try:
        with open(path, "rb") as file:
            while len(header := file.read(8)) == 8:
                length, name = struct.unpack(">I4s", header)
                read = 8
                if length == 1:
                    length, read = int.from_bytes(file.read(8), "big"), 16
                if length < read or not name.isalnum():
                    return False
                if name == b"moov":
                    return length < _LONGEST_INDEX and any(
                        count > 1 for count in _edit_counts(file.read(length - read))
                    )
                file.seek(length - read, 1)
    except (OSError, struct.error):
        pass
    return False


def _edit_counts(boxes: bytes) -> Iterator[int]:
    """The number of edits that show something, of every track."""
    at = 0
    while at + 8 <= len(boxes):
        length, name = struct.unpack_from(">I4s", boxes, at)
        if length < 8:
            return
        body = boxes[at + 8 : at + length]
        if name in _CONTAINERS:
            yield from _edit_counts(body)
        elif name == b"elst":
            (count,) = struct.unpack_from(">I", body, 4)
            entry = struct.Struct(">QqI" if body[0] == 1 else ">IiI")
            starts = [entry.unpack_from(body, 8 + i * entry.size)[1] for i in range(min(count, 1000))]
            yield sum(start >= 0 for start in starts)
        at += length
