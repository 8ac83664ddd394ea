"""Recognises Motion JPEG without a container: the pictures of a camera, one after the other."""

from __future__ import annotations

import re
from typing import BinaryIO

START = b"\xff\xd8\xff"  # of a JPEG picture: its first marker and the beginning of the second
BLOCK = 1 << 20  # bytes that are searched at a time
LONGEST_GAP = 1024  # bytes between two pictures, for padding or the headers of a multipart answer
_PADDING = re.compile(rb"[\0\xff\s]*")
_PART = re.compile(rb"\s*--[^\r\n]+\r?\n([\w-]+:[^\r\n]*\r?\n)+\r?\n", re.ASCII)
# A photograph may have other pictures attached (a second view, depth, the original) and says so.
_ATTACHED = (
    b"MPF\0",
    b"http://ns.google.com/photos/1.0/container/",
    b"http://ns.google.com/photos/1.0/camera/",
)


def is_stream(path: str) -> bool:
    """Whether a file begins with two JPEG pictures of one size with next to nothing between them.

    A single photograph is no stream, whatever it has attached: several views (MPO), another picture of its
    own size, a short video. Raises OSError when the file cannot be read.
    """
    with open(path, "rb") as file:
        if file.read(len(START)) != START:
            return False
        first = _header(file, 0)
        if first is None or first.attached:
            return False
        second = _find(file, START, first.end)
        if second is None or not _is_gap(file, second):
            return False
        following = _header(file, second)
        return following is not None and following.size == first.size


class _Header:
    """What stands before the coded data of one picture."""

    def __init__(self) -> None:
        self.size = (0, 0)
        self.attached = False
        self.end = 0  # where the coded data begins


def _header(file: BinaryIO, begin: int) -> _Header | None:
    """Read the segments of the picture that begins at `begin`; None: it is not one."""
    header = _Header()
    file.seek(begin + 2)
    while True:
        mark = file.read(2)
        while mark[1:] == b"\xff":  # markers may be padded
            mark = mark[1:] + file.read(1)
        length = int.from_bytes(file.read(2), "big")
        if len(mark) < 2 or mark[0] != 0xFF or length < 2:
            return None
        code = mark[1]
        if code == 0xDA:
            header.end = file.tell() + length - 2
            return header if min(header.size) > 0 else None
        segment = file.read(length - 2)
        if 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            header.size = (int.from_bytes(segment[3:5], "big"), int.from_bytes(segment[1:3], "big"))
        if 0xE0 <= code <= 0xEF:
            header.attached |= any(word in segment for word in _ATTACHED)


def _find(file: BinaryIO, what: bytes, begin: int) -> int | None:
    """Offset of the first `what` from `begin` on. Coded data never contains the start of a picture."""
    file.seek(begin)
    before = b""
    at = begin
    while block := file.read(BLOCK):
        data = before + block
        found = data.find(what)
        if found >= 0:
            return at + found
        before = data[-len(what) + 1 :]
        at += len(data) - len(before)
    return None


def _is_gap(file: BinaryIO, end: int) -> bool:
    """Whether only padding or the headers of a part stand between the end of a picture and `end`."""
    begin = max(0, end - LONGEST_GAP)
    file.seek(begin)
    behind = file.read(end - begin)
    gap = behind[behind.rfind(b"\xff\xd9") + 2 :] if b"\xff\xd9" in behind else b"?"
    return bool(_PADDING.fullmatch(gap) or _PART.fullmatch(gap))
