"""Changes to coded pictures on their way into a container."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import av

PICTURE_EXTENSION = b"\x00\x00\x01\xb5"
SEQUENCE = b"\x00\x00\x01\xb3"
VOP = b"\x00\x00\x01\xb6"
PACKED = b"\x00\x00\x01\xb2DivX503b1393p"  # user data that announces it
PLACEHOLDER = VOP + bytes([0b01_0_1_0000, 0b1_0_011111])  # a P-VOP that is not coded, at a rate of up to 16


def pack_b_frames(packets: Sequence[Any]) -> list[Any]:
    """MPEG-4 with one B-frame between others, as DivX puts it into AVI: the B-frame shares the chunk of the
    picture in front of it, and a placeholder stands in its stead."""
    chunks: list[bytes] = []
    newest = -1
    for packet in packets:
        if packet.pts < newest:
            chunks[-1] += bytes(packet)
            chunks.append(PLACEHOLDER)
        else:
            chunks.append(bytes(packet))
        newest = max(newest, packet.pts)
    chunks[0] = chunks[0].replace(VOP, PACKED + VOP, 1)
    made = []
    for number, (chunk, packet) in enumerate(zip(chunks, packets, strict=True)):
        new = copied(packet, chunk)
        new.pts = new.dts = number
        made.append(new)
    return made


def repeat_fields(packets: Sequence[Any]) -> list[Any]:
    """MPEG-2 pictures of which every other one says that it lasts three fields, as films on television do."""
    made = []
    for packet in packets:
        data = bytearray(bytes(packet))
        at = data.index(PICTURE_EXTENSION)
        while data[at + 4] >> 4 != 8:
            at = data.index(PICTURE_EXTENSION, at + 4)
        three = packet.duration == 3
        # Which field comes first alternates with every picture of three.
        bottom_first = len(made) % 4 in (1, 2)
        data[at + 7] = data[at + 7] & 0x7F | (0 if bottom_first else 0x80)
        data[at + 7] = data[at + 7] & 0xFD | (2 if three else 0)
        data[at + 8] |= 0x80  # a progressive picture
        if (header := data.find(SEQUENCE)) >= 0:
            data[header + 7] = data[header + 7] & 0xF0 | 4  # as television has it: 29.97 pictures a second
        made.append(copied(packet, bytes(data)))
    return made


def copied(packet: Any, data: bytes) -> Any:
    """A packet with other bytes."""
    new = av.Packet(data)
    new.stream, new.time_base = packet.stream, packet.time_base
    new.pts, new.dts, new.duration = packet.pts, packet.dts, packet.duration
    new.is_keyframe = packet.is_keyframe
    return new
