"""Rewriting MP4 and QuickTime files, box by box."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

NESTING = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts"}


@dataclass
class Box:
    kind: bytes
    body: bytes = b""
    boxes: list[Box] = field(default_factory=list)

    def __bytes__(self) -> bytes:
        body = self.body or b"".join(map(bytes, self.boxes))
        return struct.pack(">I4s", 8 + len(body), self.kind) + body

    def all(self, kind: bytes) -> Iterator[Box]:
        """Every box of that kind below this one."""
        for box in self.boxes:
            if box.kind == kind:
                yield box
            yield from box.all(kind)

    def one(self, kind: bytes) -> Box:
        return next(self.all(kind))


def parse(data: bytes) -> list[Box]:
    boxes, at = [], 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        body = data[at + head : at + (size or len(data))]
        boxes.append(Box(kind, boxes=parse(body)) if kind in NESTING else Box(kind, body))
        at += size or len(data)
    return boxes


def rewrite(path: Path, change: Callable[[Box], None]) -> Path:
    """Change the index ("moov") of a file that has it behind the media."""
    boxes = parse(path.read_bytes())
    kinds = [box.kind for box in boxes]
    assert kinds.index(b"mdat") < kinds.index(b"moov")
    change(boxes[kinds.index(b"moov")])
    path.write_bytes(b"".join(map(bytes, boxes)))
    return path


def set_durations(path: Path, seconds: float) -> Path:
    """Have all headers say that the film is `seconds` long."""

    def change(moov: Box) -> None:
        movie_scale = _numbers(moov.one(b"mvhd"), 12)[0]
        moov.one(b"mvhd").body = _put(moov.one(b"mvhd").body, 16, round(seconds * movie_scale))
        for track in moov.all(b"trak"):
            track.one(b"tkhd").body = _put(track.one(b"tkhd").body, 20, round(seconds * movie_scale))
            header = track.one(b"mdhd")
            header.body = _put(header.body, 16, round(seconds * _numbers(header, 12)[0]))

    return rewrite(path, change)


def set_edits(path: Path, edits: Sequence[tuple[float, float | None]], *, track: int = 0) -> Path:
    """Give a track these edits: (how long, seconds; from where in the media, seconds, None: nothing)."""

    def change(moov: Box) -> None:
        movie_scale = _numbers(moov.one(b"mvhd"), 12)[0]
        trak = list(moov.all(b"trak"))[track]
        media_scale = _numbers(trak.one(b"mdhd"), 12)[0]
        entries = [
            (round(length * movie_scale), -1 if start is None else round(start * media_scale), 1, 0)
            for length, start in edits
        ]
        body = struct.pack(">II", 0, len(entries)) + b"".join(struct.pack(">IiHH", *e) for e in entries)
        trak.boxes = [box for box in trak.boxes if box.kind != b"edts"]
        trak.boxes.insert(1, Box(b"edts", boxes=[Box(b"elst", body)]))

    return rewrite(path, change)


def first_presentation(path: Path) -> float:
    """Seconds of the media's clock at which the first sample is presented (its composition offset)."""
    moov = next(box for box in parse(path.read_bytes()) if box.kind == b"moov")
    trak = moov.one(b"trak")
    offsets = [*trak.all(b"ctts")]
    return _numbers(offsets[0], 12)[0] / _numbers(trak.one(b"mdhd"), 12)[0] if offsets else 0.0


def keep_fragments(path: Path, count: int) -> Path:
    """Leave out all but the first `count` fragments of a file, and what comes behind them."""
    boxes = parse(path.read_bytes())
    ends = [number + 1 for number, box in enumerate(boxes) if box.kind == b"mdat"]
    path.write_bytes(b"".join(map(bytes, boxes[: ends[count - 1]])))
    return path


def rechunk(path: Path, seconds: float) -> Path:
    """Lay the media out in chunks: `seconds` of the first track, `seconds` of the second, and so on."""
    data = path.read_bytes()
    boxes = parse(data)
    moov = next(box for box in boxes if box.kind == b"moov")
    head = b"".join(bytes(box) for box in boxes if box.kind == b"ftyp")
    tracks = [_Track(trak, data) for trak in moov.all(b"trak")]
    media = bytearray()
    for window in range(10_000):
        for track in tracks:
            samples = track.take(until=(window + 1) * seconds)
            if samples:
                track.chunks.append((len(head) + 8 + len(media), len(samples)))
                media += b"".join(samples)
        if not any(track.samples for track in tracks):
            break
    for track in tracks:
        track.close()
    path.write_bytes(head + bytes(Box(b"mdat", bytes(media))) + bytes(moov))
    return path


class _Track:
    """The samples of a track, taken from their old chunks and put into new ones."""

    def __init__(self, trak: Box, data: bytes) -> None:
        self._trak = trak
        self.chunks: list[tuple[int, int]] = []  # position, samples
        scale = _numbers(trak.one(b"mdhd"), 12)[0]
        times: list[float] = []
        clock = 0
        stts = _numbers(trak.one(b"stts"), 8)
        for count, delta in zip(stts[::2], stts[1::2], strict=True):
            times += [(clock + i * delta) / scale for i in range(count)]
            clock += count * delta
        size, count, *sizes = _numbers(trak.one(b"stsz"), 4)
        sizes = sizes or [size] * count
        self.samples = list(zip(times, self._read(data, sizes), strict=True))

    def _read(self, data: bytes, sizes: list[int]) -> Iterator[bytes]:
        offsets = _numbers(self._trak.one(b"stco"), 8)
        entries = _numbers(self._trak.one(b"stsc"), 8)
        runs = list(zip(entries[::3], entries[1::3], strict=True))
        left = iter(sizes)
        for chunk, at in enumerate(offsets, 1):
            for _ in range(next(count for first, count in reversed(runs) if first <= chunk)):
                size = next(left)
                yield data[at : at + size]
                at += size

    def take(self, *, until: float) -> list[bytes]:
        taken = [sample for time, sample in self.samples if time < until]
        self.samples = self.samples[len(taken) :]
        return taken

    def close(self) -> None:
        offsets = [at for at, _ in self.chunks]
        self._trak.one(b"stco").body = struct.pack(f">II{len(offsets)}I", 0, len(offsets), *offsets)
        runs = [n for chunk, (_, count) in enumerate(self.chunks, 1) for n in (chunk, count, 1)]
        self._trak.one(b"stsc").body = struct.pack(f">II{len(runs)}I", 0, len(self.chunks), *runs)


def _numbers(box: Box, at: int) -> list[int]:
    """The 32-bit numbers of a box from byte `at` on."""
    count = (len(box.body) - at) // 4
    return list(struct.unpack_from(f">{count}I", box.body, at))


def _put(body: bytes, at: int, number: int) -> bytes:
    assert body[0] == 0, "a header of 64-bit times"
    return body[:at] + struct.pack(">I", number) + body[at + 4 :]
