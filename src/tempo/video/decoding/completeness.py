"""Detects truncated files, from the few bytes that hold a file's structure."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

MOST_BOXES = 100_000  # of a fragmented file, that are examined
FRAGMENT = 4096  # bytes after the last box of a fragmented file that may be something else
_LONGEST_TAG = 1 << 24  # bytes of a Flash tag


@dataclass(frozen=True)
class Completeness:
    """Whether a file is complete, by its structure.

    Attributes:
        cut_short: bytes are missing at its end, or have no recognisable structure from there on.
        patchy: parts in the middle have lost their headers, and demuxers skip them without an error.
        readable: bytes from the start whose structure is intact; None: not known.
    """

    cut_short: bool = False
    patchy: bool = False
    readable: int | None = None


def examine(path: str) -> Completeness:
    """Examine the structure of a local file; see :func:`examine_file`."""
    try:
        with open(path, "rb") as file:
            return examine_file(file)
    except OSError:
        return Completeness()


def examine_file(file: BinaryIO) -> Completeness:
    """Examine the structure of an open file.

    MP4 and MOV boxes, RIFF (AVI), Matroska segments and ASF headers contain their length; a Flash file ends
    with the length of its last tag. Other files count as complete.
    """
    try:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(16)
        if head[4:8] in _FIRST_BOXES:
            return _of_boxes(file, size)
        if head[:4] == b"RIFF":
            return Completeness(cut_short=_ends_within_a_riff(file, size))
        if head[:4] == b"\x1a\x45\xdf\xa3":
            return Completeness(cut_short=_ends_within_a_segment(file, size))
        if head == _ASF_HEADER:
            return Completeness(cut_short=_ends_before_asf(file, size))
        if head[:3] == b"FLV":
            return Completeness(cut_short=_ends_within_a_tag(file, size))
    except (OSError, struct.error):
        pass
    return Completeness()


_FIRST_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"styp", b"free", b"skip", b"wide", b"pnot"})


def _of_boxes(file: BinaryIO, size: int) -> Completeness:
    """Walk over the top-level boxes. In a fragmented file, media data follows the box that describes it."""
    at, fragmented, described, patchy = 0, False, True, False
    for _ in range(MOST_BOXES):
        if at >= size:
            return Completeness(cut_short=at > size, patchy=patchy, readable=min(at, size))
        file.seek(at)
        header = file.read(16)
        name, length = header[4:8], int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0 and name == b"mdat":
            break  # until the end of the file
        if length < 8 or not name.isalnum():
            # Something else may follow the video, but not in the middle of fragments.
            return Completeness(cut_short=fragmented and size - at > FRAGMENT, patchy=patchy, readable=at)
        fragmented = fragmented or name == b"moof"
        patchy = patchy or (fragmented and name == b"mdat" and not described)
        described = name == b"moof" or (described and name != b"mdat")
        at += length
    return Completeness(patchy=patchy, readable=size)


def _ends_within_a_riff(file: BinaryIO, size: int) -> bool:
    at = 0
    while at + 12 <= size:
        file.seek(at)
        name, length = struct.unpack("<4sI", file.read(8))
        if name != b"RIFF":
            return False
        # Recorders that lost power leave 0 or the largest number there.
        if length in (0, 0xFFFFFFFF):
            return False
        at += 8 + length + length % 2
    return at > size + 1


def _ends_within_a_segment(file: BinaryIO, size: int) -> bool:
    file.seek(4)
    header = _ebml_length(file)
    if header is None:
        return False
    file.seek(header, os.SEEK_CUR)
    if file.read(4) != b"\x18\x53\x80\x67":
        return False
    length = _ebml_length(file)
    return length is not None and file.tell() + length > size


def _ebml_length(file: BinaryIO) -> int | None:
    """A variable-length integer; None where it says that the length is not known."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    width = 9 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & ((1 << (8 - width)) - 1)]) + file.read(width - 1), "big")
    return None if value == (1 << (7 * width)) - 1 else value


_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def _ends_before_asf(file: BinaryIO, size: int) -> bool:
    file.seek(0)
    head = file.read(1 << 16)
    at = head.find(_ASF_FILE_PROPERTIES)
    if at < 0:
        return False
    size_in_header, flags = (
        struct.unpack_from("<Q", head, at + 40)[0],
        struct.unpack_from("<I", head, at + 88)[0],
    )
    live = flags & 1
    return not live and size_in_header > size


def _ends_within_a_tag(file: BinaryIO, size: int) -> bool:
    if size < 32:
        return True
    file.seek(size - 4)
    length = int.from_bytes(file.read(4), "big")
    if not 11 <= length <= min(_LONGEST_TAG, size - 13):
        return True
    file.seek(size - 4 - length)
    return file.read(1)[0] & 0x1F not in (8, 9, 18)
