"""Hashes of content."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tempo.storage import hashing
from tempo.video.video import Video


def test_small_files_count_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    data = bytearray(os.urandom(100_000))
    path.write_bytes(data)
    before = hashing.of_file(str(path))
    assert before == hashing.of_file(str(path))
    for at in (0, 54_321, len(data) - 1):
        data[at] ^= 1
        path.write_bytes(data)
        assert hashing.of_file(str(path)) != before
        data[at] ^= 1


@pytest.mark.parametrize("at", [5, (64 << 20) - 5])
def test_large_files_count_at_both_ends_and_in_size(tmp_path: Path, at: int) -> None:
    path = tmp_path / "file"
    with open(path, "wb") as file:
        file.truncate(64 << 20)
    before = hashing.of_file(str(path))
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(b"x")
    changed = hashing.of_file(str(path))
    with open(path, "ab") as file:
        file.write(b"\0")
    assert len({before, changed, hashing.of_file(str(path))}) == 3


def test_large_files_count_in_between(tmp_path: Path) -> None:
    """A stretch of two megabytes does not slip through the blocks of a file of 64."""
    path = tmp_path / "file"
    with open(path, "wb") as file:
        file.truncate(64 << 20)
    before = hashing.of_file(str(path))
    with open(path, "r+b") as file:
        file.seek(20 << 20)
        file.write(b"x" * (2 << 20))
    assert hashing.of_file(str(path)) != before


def test_folders_count_by_content_order_and_rate(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, names in ((first, ("0.png", "1.png")), (second, ("a.png", "b.png"))):
        folder.mkdir()
        for value, name in enumerate(names):
            Image.new("RGB", (8, 8), (value, 0, 0)).save(folder / name)
    same = Video.open(first).fingerprint
    assert Video.open(second).fingerprint == same, "names do not matter"
    assert Video.open(first, frame_rate=2.0).fingerprint != same
    (second / "a.png").rename(second / "c.png")
    assert Video.open(second).fingerprint != same


def test_arrays_count_by_every_byte_and_rate() -> None:
    frames = np.zeros((3, 8, 8, 3), np.uint8)
    same = Video.from_frames(frames.copy(), fps=2.0).fingerprint
    assert Video.from_frames(frames, fps=2.0).fingerprint == same
    assert Video.from_frames(frames, fps=3.0).fingerprint != same
    assert Video.from_frames(frames.reshape(3, 4, 16, 3), fps=2.0).fingerprint != same
    frames[2, 7, 7, 2] = 1
    assert Video.from_frames(frames, fps=2.0).fingerprint != same
