"""Headers of other containers that are made to say something else than what is in the file."""

from __future__ import annotations

import re
import struct
from pathlib import Path


def set_matroska_duration(path: Path, seconds: float) -> Path:
    """The length in the header, and those that the tags tell of the tracks."""
    data = path.read_bytes()
    data = _replace(data, b"\x44\x89\x88", 0, struct.pack(">d", seconds * 1000))
    hours, minutes = int(seconds // 3600), int(seconds // 60 % 60)
    text = f"{hours:02}:{minutes:02}:{seconds % 60:012.9f}".encode()
    path.write_bytes(re.sub(rb"\d\d:\d\d:\d\d\.\d{9}", text, data))
    return path


def set_avi_frames(path: Path, count: int) -> Path:
    data = path.read_bytes()
    data = _replace(data, b"avih", 4 + 16, struct.pack("<I", count))
    path.write_bytes(_replace(data, b"strh", 4 + 32, struct.pack("<I", count)))
    return path


def set_flv_duration(path: Path, seconds: float) -> Path:
    path.write_bytes(_replace(path.read_bytes(), b"\x00\x08duration\x00", 0, struct.pack(">d", seconds)))
    return path


def set_asf_duration(path: Path, seconds: float) -> Path:
    properties = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
    told = struct.pack("<QQ", *[round(seconds * 1e7)] * 2)
    path.write_bytes(_replace(path.read_bytes(), properties, 8 + 16 + 8 + 8 + 8, told))
    return path


def hide_avi_index(path: Path) -> Path:
    """As in a recording that was never finished properly."""
    data = path.read_bytes()
    at = data.rindex(b"idx1")
    path.write_bytes(data[:at] + b"JUNK" + data[at + 4 :])
    return path


def cut_before(path: Path, pts: int) -> Path:
    """Leave out what precedes the packet of a transport stream in which the picture of that time begins."""
    data = path.read_bytes()
    at = _stamp_at(data, pts)
    path.write_bytes(data[at - at % 188 :])
    return path


def damage_time(path: Path, pts: int) -> Path:
    """Flip one bit in the time of a picture of a transport stream: it is shown 23,861 s later."""
    data = bytearray(path.read_bytes())
    data[_stamp_at(data, pts)] ^= 4
    path.write_bytes(data)
    return path


def _stamp_at(data: bytes, pts: int) -> int:
    """Where the presentation time of a picture stands in a transport stream."""
    for at in range(0, len(data), 188):
        packet = data[at : at + 188]
        begins = packet[1] & 0x40 and (pes := packet.find(b"\0\0\1\xe0")) > 0 and packet[pes + 7] & 0x80
        if begins and _time_of(packet[pes + 9 : pes + 14]) == pts:
            return at + pes + 9
    raise ValueError(f"no picture begins at {pts}")


def _time_of(stamp: bytes) -> int:
    high, middle, low = stamp[0] >> 1 & 7, *struct.unpack(">HH", stamp[1:])
    return high << 30 | middle >> 1 << 15 | low >> 1


def _replace(data: bytes, marker: bytes, skip: int, new: bytes) -> bytes:
    """Write `new` over what stands `skip` bytes behind the first `marker`."""
    at = data.index(marker) + len(marker) + skip
    return data[:at] + new + data[at + len(new) :]
