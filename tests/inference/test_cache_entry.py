"""What is not what was written is never given out."""

import json
import os

import pytest
import torch

from tempo.inference.cache_entry import DamagedEntryError, DiskCacheEntry, checksum
from tempo.inference.prefix_cache import DiskCache, discard
from tempo.networks.compressor import PrefillState
from tempo.networks.kv_cache import KVCache
from tempo.processing.batching import SegmentSpan
from tempo.video.frames import Damage

SEGMENTS = 3
PAST = torch.randn(SEGMENTS, 4, 2, 2, 33, 16, generator=torch.Generator().manual_seed(1))
ROW = PAST[0].nbytes  # some blocks of 4 KiB and a part of one


@pytest.fixture
def cache(tmp_path):
    cache = DiskCache(tmp_path)
    writer = cache.writer("key", expected_bytes=PAST.nbytes)
    for first in (0, SEGMENTS):
        writer.add(
            [SegmentSpan(first + i, i, i + 1, i) for i in range(SEGMENTS)], PrefillState(KVCache(PAST, 1), 9)
        )
    writer.finish(damage=Damage())
    return cache


def damaged_rows(kept: list[DiskCacheEntry]) -> list[int]:
    """Which segments are not given out; what is given out is what was written."""
    refused = []
    for number in range(2 * SEGMENTS):
        try:
            row = kept[number // SEGMENTS].row(number % SEGMENTS)
        except DamagedEntryError:
            refused.append(number)
        else:
            assert torch.equal(row, PAST[number % SEGMENTS])
    return refused


def overwrite(file, at, data):
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(data)


def flip(file, at):
    overwrite(file, at, bytes([file.read_bytes()[at] ^ 0x10]))


def swap(file, first, second):
    data = file.read_bytes()
    overwrite(file, first * ROW, data[second * ROW :][:ROW])
    overwrite(file, second * ROW, data[first * ROW :][:ROW])


@pytest.mark.parametrize("opened_before", [True, False])
@pytest.mark.parametrize(
    ("damage", "refused"),
    [
        (lambda file: flip(file, 0), [0]),
        (lambda file: flip(file, 2 * ROW - 1), [1]),
        (lambda file: flip(file, 4 * ROW + 5000), [4]),
        (lambda file: overwrite(file, 2 * ROW, bytes(ROW)), [2]),
        (lambda file: overwrite(file, 3 * ROW + 400, torch.tensor(torch.nan).numpy().tobytes()), [3]),
        (lambda file: overwrite(file, 8192, file.read_bytes()[:4096]), [0]),
        (lambda file: swap(file, 1, 2), [1, 2]),
    ],
    ids=["first byte", "last byte", "a byte", "zeroes", "NaN", "a block of before", "two segments"],
)
def test_damaged_segments_are_refused_and_the_others_are_not(cache, damage, refused, opened_before):
    file = cache.root / "key" / "past.bin"
    kept = cache.open("key")[0] if opened_before else None
    assert kept is None or damaged_rows(kept) == []
    damage(file)
    assert damaged_rows(kept or cache.open("key")[0]) == refused


def test_a_file_that_is_cut_short_while_it_is_read_is_damage(cache):
    kept, _ = cache.open("key")
    os.truncate(cache.root / "key" / "past.bin", 3 * ROW + 100)
    assert damaged_rows(kept) == [3, 4, 5]
    assert cache.open("key") is None


def without_a_moment(meta):
    del meta["chunks"][1]["segments"][1]


def without_a_chunk(meta):
    del meta["chunks"][0]


def with_other_times(meta):
    meta["chunks"][0]["segments"][0]["timestamp"] = 7.0


def with_another_position(meta):
    meta["chunks"][0]["position"] += 1


@pytest.mark.parametrize(
    "change", [without_a_moment, without_a_chunk, with_other_times, with_another_position]
)
def test_a_description_that_was_changed_describes_nothing(cache, change):
    folder = cache.root / "key"
    meta = json.loads((folder / "meta.json").read_text())
    change(meta)
    (folder / "meta.json").write_text(json.dumps(meta))
    os.truncate(folder / "past.bin", ROW * sum(chunk["shape"][0] for chunk in meta["chunks"]))
    assert cache.open("key") is None
    assert not folder.exists()


def test_a_description_that_was_hit_anywhere_describes_nothing(cache):
    file = cache.root / "key" / "meta.json"
    whole = file.read_bytes()
    for at in range(0, len(whole), 37):
        cache.root.joinpath("key").mkdir(exist_ok=True)
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        (file.parent / "past.bin").write_bytes(bytes(PAST.nbytes * 2))
        assert cache.open("key") is None


def test_an_entry_in_anothers_place_is_not_it(cache):
    (cache.root / "key").rename(cache.root / "other")
    assert cache.open("other") is None


def test_a_damaged_entry_is_discarded_and_the_one_in_its_place_is_not(cache):
    kept, _ = cache.open("key")
    (cache.root / "key").rename(cache.root.parent / "away")
    discard(kept)  # nothing there
    writer = cache.writer("key", expected_bytes=1)
    writer.add([SegmentSpan(0, 0.0, 1.0, 0.0)], PrefillState(KVCache(PAST[:1], 1), 9))
    renewed = writer.finish(damage=Damage())
    discard(kept)
    assert cache.has("key")
    discard(renewed)
    assert not cache.has("key")


def test_the_checksum_is_the_same_in_pieces_and_finds_every_bit():
    data = bytearray(os.urandom(3 * 4096 + 100))
    whole = checksum(memoryview(data))
    assert whole == checksum(memoryview(data)[4096:], checksum(memoryview(data)[:4096]))
    for bit in range(0, 8 * len(data), 1009):
        data[bit // 8] ^= 1 << bit % 8
        assert checksum(memoryview(data)) != whole
        data[bit // 8] ^= 1 << bit % 8
    data[:4096], data[4096:8192] = data[4096:8192], data[:4096]
    assert checksum(memoryview(data)) != whole
