"""Reads edit lists of MP4 and QuickTime files, which say what parts of the media are shown."""

from __future__ import annotations

import struct
from typing import BinaryIO

from tempo.video.iso_boxes import (
    IsoBox,
    boxes,
    number,
    within,
)

MOST_EDITS = 1000  # that are read


def has_several_edits(file: BinaryIO) -> bool:
    """Whether any track of a file, opened at its beginning, shows more than one part of its media.

    libavformat then repeats packets, and its times step back by the decoder's delay where a part begins.
    """
    try:
        index = next((box for box in boxes(file) if box.kind == b"moov"), None)
        return index is not None and any(
            _parts(file, edit_list) > 1
            for track in within(file, index, b"trak")
            for edits in within(file, track, b"edts")
            for edit_list in within(file, edits, b"elst")
        )
    except (OSError, struct.error):
        return False


def _parts(file: BinaryIO, edit_list: IsoBox) -> int:
    """How many of the edits show something."""
    version, count = number(file, edit_list, 0) >> 24, number(file, edit_list, 4)
    entry = struct.Struct(">QqI" if version == 1 else ">IiI")
    entries = file.read(min(count, MOST_EDITS) * entry.size)
    whole = len(entries) // entry.size * entry.size
    return sum(start >= 0 for _, start, _ in entry.iter_unpack(entries[:whole]))
