"""Damage done to files, by chance that can be repeated."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

HEADER = 4096  # bytes at either end in which most of what describes a file stands
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutate(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Damage `data` in one to three ways; also returns what was done."""
    changed = bytearray(data)
    done = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        way = rng.choice(WAYS)
        way(changed, rng)
        done.append(way.__name__.strip("_"))
    return bytes(changed), " and ".join(done)


def _at(data: bytearray, rng: random.Random) -> int:
    """A place, as often near the ends as in between."""
    where = rng.randrange(4)
    if where == 0:
        return rng.randrange(min(HEADER, len(data)))
    if where == 1:
        return len(data) - 1 - rng.randrange(min(HEADER, len(data)))
    return rng.randrange(len(data))


def _stretch(data: bytearray, rng: random.Random) -> slice:
    """A stretch of up to a tenth of the data, short ones more often."""
    begin = _at(data, rng)
    return slice(begin, begin + rng.randrange(1, 2 + int(len(data) * 0.1 * rng.random() ** 3)))


def _bits(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 4, 32))):
        data[_at(data, rng)] ^= 1 << rng.randrange(8)


def _bytes(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 8, 64))):
        data[_at(data, rng)] = rng.randrange(256)


def _extremes(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 2, 8))):
        number = struct.pack(rng.choice("<>") + "I", rng.choice(EXTREMES))
        begin = max(0, _at(data, rng) - 3)
        data[begin : begin + 4] = number


def _truncation(data: bytearray, rng: random.Random) -> None:
    del data[_at(data, rng) + 1 :]


def _swap(data: bytearray, rng: random.Random) -> None:
    one, other = _stretch(data, rng), _stretch(data, rng)
    data[one], data[other] = bytes(data[other]), bytes(data[one])


def _zeroes(data: bytearray, rng: random.Random) -> None:
    part = _stretch(data, rng)
    data[part] = bytes(len(data[part]))


def _noise(data: bytearray, rng: random.Random) -> None:
    part = _stretch(data, rng)
    data[part] = rng.randbytes(len(data[part]))


def _insertion(data: bytearray, rng: random.Random) -> None:
    part = bytes(data[_stretch(data, rng)])
    begin = _at(data, rng)
    data[begin:begin] = rng.choice((part, rng.randbytes(len(part)), bytes(len(part))))


def _deletion(data: bytearray, rng: random.Random) -> None:
    part = _stretch(data, rng)
    if len(data[part]) < len(data):
        del data[part]


WAYS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _bits,
    _bytes,
    _extremes,
    _truncation,
    _swap,
    _zeroes,
    _noise,
    _insertion,
    _deletion,
)
