"""Reads the boxes of ISO base media files: MP4, QuickTime, HEIF and AVIF."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple


class IsoBox(NamedTuple):
    """A box: its four-byte type, and where its content begins and, by its length, ends in the file."""

    kind: bytes
    begin: int
    end: int


def boxes(file: BinaryIO, begin: int = 0, end: int | None = None) -> Iterator[IsoBox]:
    """The sibling boxes between two offsets, by default those at the top of the file."""
    if end is None:
        end = file.seek(0, os.SEEK_END)
    while begin + 8 <= end:
        file.seek(begin)
        head = file.read(16)
        length, content = int.from_bytes(head[:4], "big"), begin + 8
        if length == 1:  # a 64-bit length follows
            length, content = int.from_bytes(head[8:16], "big"), begin + 16
        next_box = begin + length if length else end
        if next_box < content:
            return
        yield IsoBox(head[4:8], content, next_box)
        begin = next_box


def within(file: BinaryIO, box: IsoBox, kind: bytes) -> Iterator[IsoBox]:
    """The child boxes of one type."""
    return (inner for inner in boxes(file, box.begin, box.end) if inner.kind == kind)


def number(file: BinaryIO, box: IsoBox, offset: int) -> int:
    """The 32-bit integer at `offset` in a box's content; 0 where the file has ended."""
    file.seek(box.begin + offset)
    return int.from_bytes(file.read(4), "big")
