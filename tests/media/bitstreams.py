"""Changes to coded pictures on their way into a container."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import av

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
        new = av.Packet(chunk)
        new.stream, new.time_base = packet.stream, packet.time_base
        new.pts = new.dts = number
        new.duration, new.is_keyframe = packet.duration, packet.is_keyframe
        made.append(new)
    return made
