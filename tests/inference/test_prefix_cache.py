import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
import torch

from tempo.errors import NoRoomError, TempoError, UsageError
from tempo.inference.cache_policy import check_kind
from tempo.inference.prefix_cache import DiskCache, MemoryCacheWriter, check_room
from tempo.networks.compressor import PrefillState
from tempo.networks.kv_cache import KVCache
from tempo.processing.batching import SegmentSpan
from tempo.video.frames import Damage


def prefilled(seed=0, segments=2, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    data = torch.randn(segments, 3, 2, 2, 5, 4, generator=generator).to(dtype)
    return PrefillState(KVCache(data, 5), position=9)


def moments(first, count=2):
    return [SegmentSpan(i, 4.0 * i, 4.0 * i + 4, 4.0 * i + 2) for i in range(first, first + count)]


NOTHING = Damage()


def keep(cache, key, seed=0, dtype=torch.float32, damage=NOTHING):
    writer = cache.writer(key, expected_bytes=1)
    writer.add(moments(0), prefilled(seed, dtype=dtype))
    writer.add(moments(2, 1), prefilled(seed + 1, segments=1, dtype=dtype))
    return writer.finish(damage=damage)


def rows(kept):
    """All segments of what is kept [S, K, 2, G, L, E]."""
    return torch.stack([kept.row(index) for index in range(len(kept.segments))])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_disk_gives_back_every_bit(tmp_path, dtype):
    damage = Damage(1.5, 3, ((0.5, 1.0), (3.0, 4.0)), ("pictures are damaged", "the file is cut short"))
    written = keep(DiskCache(tmp_path), "key", dtype=dtype, damage=damage)
    found, told = DiskCache(tmp_path).open("key")
    assert told == damage
    for entries in (written, found):
        assert [entry.segments for entry in entries] == [tuple(moments(0)), tuple(moments(2, 1))]
        assert all(entry.position == 9 for entry in entries)
        assert torch.equal(rows(entries[0]), prefilled(0, dtype=dtype).cache.data)
        assert torch.equal(entries[1].row(0), prefilled(1, segments=1, dtype=dtype).cache.data[0])
    assert DiskCache(tmp_path).has("key")
    assert DiskCache(tmp_path).open("other") is None


def test_memory_keeps_what_it_is_given():
    writer = MemoryCacheWriter(torch.device("cpu"))
    writer.add(moments(0), prefilled())
    (entry,) = writer.finish(damage=Damage())
    assert torch.equal(entry.row(1), prefilled().cache.data[1])


def test_the_least_recently_used_goes_first(tmp_path):
    size = 3 * 3 * 2 * 2 * 5 * 4 * 4
    cache = DiskCache(tmp_path, limit_bytes=2 * size)
    for age, key in ((300, "a"), (200, "b")):
        keep(cache, key)
        os.utime(tmp_path / key, (time.time() - age,) * 2)
    assert cache.open("a") is not None  # used just now
    keep(cache, "c")
    assert [cache.has(key) for key in "abc"] == [True, False, True]


def test_what_is_removed_stays_readable_to_who_has_it_open(tmp_path):
    cache = DiskCache(tmp_path, limit_bytes=1)
    entries = keep(cache, "a")
    cache.shrink()
    assert not cache.has("a")
    assert torch.equal(rows(entries[0]), prefilled(0).cache.data)


def test_nothing_half_written_is_ever_found(tmp_path):
    cache = DiskCache(tmp_path)
    writer = cache.writer("key", expected_bytes=1)
    writer.add(moments(0), prefilled())
    assert not cache.has("key")
    assert cache.open("key") is None
    writer.abandon()
    assert list(tmp_path.iterdir()) == []


def _write_until(root, adds, say):
    """Write so many chunks, say so, and wait to be killed."""
    writer = DiskCache(root, limit_bytes=LIMIT).writer("killed", expected_bytes=BIG.nbytes * 3)
    for _ in range(adds):
        writer.add(moments(0, 4), PrefillState(KVCache(BIG, 1), position=9))
    say.send(str(writer.folder))
    time.sleep(600)


BIG = torch.ones(4, 4, 2, 2, 16, 256)  # 1 MB
LIMIT = 3 * BIG.nbytes


def begin_to_write(root, adds):
    """A process that is writing: the process, and its folder."""
    context = multiprocessing.get_context("fork")  # which has torch already
    heard, said = context.Pipe(duplex=False)
    process = context.Process(target=_write_until, args=(root, adds, said))
    process.start()
    assert heard.poll(60)
    return process, Path(heard.recv())


def kill(process):
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


def bytes_under(folder):
    return sum(path.stat().st_size for path in folder.rglob("past.bin"))


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_killed_writers_leave_nothing_and_the_limit_holds(tmp_path):
    cache = DiskCache(tmp_path, limit_bytes=LIMIT)
    for adds in (0, 1, 2, 3) * 3:
        process, folder = begin_to_write(tmp_path, adds)
        assert bytes_under(tmp_path) <= LIMIT
        assert [path.name for path in tmp_path.iterdir()] == [folder.name], "the one before was swept"
        kill(process)
        assert folder.exists()
    cache.writer("mine", expected_bytes=1).abandon()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_what_is_being_written_counts_and_stays(tmp_path):
    cache = DiskCache(tmp_path, limit_bytes=LIMIT + 1000)
    keep(cache, "old")
    process, folder = begin_to_write(tmp_path, 1)
    try:
        os.utime(folder / "past.bin", (time.time() - 7200,) * 2)  # however slowly it is written
        keep(cache, "new")
        assert folder.exists()
        assert [cache.has(key) for key in ("old", "new")] == [False, True]
    finally:
        kill(process)


def test_without_locks_age_tells_what_was_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempo.storage.file_lock.fcntl", None)
    cache = DiskCache(tmp_path)
    old, young = cache.writer("a", expected_bytes=1), cache.writer("b", expected_bytes=1)
    os.utime(old.folder / "past.bin", (time.time() - 7200,) * 2)
    cache.writer("c", expected_bytes=1).abandon()
    assert not old.folder.exists()
    assert young.folder.exists()
    young.abandon()
    old.abandon()


def test_what_an_interrupted_removal_left_is_no_entry_and_is_swept(tmp_path):
    cache = DiskCache(tmp_path)
    keep(cache, "key")
    (tmp_path / "key" / "meta.json").unlink()
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "meta.json").write_text("{}")  # somebody else's
    assert cache.open("key") is None
    keep(cache, "key")
    assert cache.open("key") is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["films", "key"]


def test_entries_of_the_earlier_format_are_swept(tmp_path):
    for key in ("one", "two"):
        (tmp_path / key).mkdir()
        chunk = {"moments": [vars(moment) for moment in moments(0, 1)], "shape": [1, 2], "position": 9}
        meta = {"format": 1, "dtype": "float32", "lost_seconds": 0.0, "chunks": [chunk]}
        (tmp_path / key / "meta.json").write_text(json.dumps(meta))
        (tmp_path / key / "past.bin").write_bytes(bytes(8))
    cache = DiskCache(tmp_path)
    assert cache.open("one") is None
    keep(cache, "one")
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    assert cache.open("one") is not None


@pytest.mark.skipif(os.name == "nt", reason="no such limits")
def test_a_disk_that_fills_up_is_said_and_nothing_is_left(tmp_path):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = DiskCache(tmp_path).writer("key", expected_bytes=1)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        with pytest.raises(NoRoomError, match=r"not writable \(File too large\)"):
            writer.add(moments(0), prefilled())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spoil", ["cut", "json", "field", "format"])
def test_a_damaged_entry_is_as_good_as_none(tmp_path, spoil):
    cache = DiskCache(tmp_path)
    keep(cache, "key")
    meta = tmp_path / "key" / "meta.json"
    values = json.loads(meta.read_text())
    if spoil == "cut":
        file = tmp_path / "key" / "past.bin"
        os.truncate(file, 100)
    elif spoil == "json":
        meta.write_text("{")
    elif spoil == "field":
        del values["chunks"]
        meta.write_text(json.dumps(values))
    else:
        meta.write_text(json.dumps(values | {"format": -1}))
    assert cache.open("key") is None
    keep(cache, "key")
    assert cache.open("key") is not None


def _write(root, seed, barrier, results):
    torch.set_num_threads(1)
    cache = DiskCache(root)
    writer = cache.writer("key", expected_bytes=1)
    writer.add(moments(0), prefilled(seed))
    barrier.wait(300)
    kept = writer.finish(damage=Damage())
    mine = torch.equal(rows(kept[0]), prefilled(seed).cache.data)
    found = cache.open("key")
    results.put(mine and found is not None and len(found[0][0].segments) == 2)


@pytest.mark.slow
def test_two_processes_at_once(tmp_path):
    """Both write the same entry; each has its own numbers, one entry stays, and it is whole."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(2), context.Queue()
    both = [context.Process(target=_write, args=(tmp_path, 5, barrier, results)) for _ in range(2)]
    for process in both:
        process.start()
    assert [results.get(timeout=300) for _ in both] == [True, True]
    for process in both:
        process.join(60)
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    assert torch.equal(rows(DiskCache(tmp_path).open("key")[0][0]), prefilled(5).cache.data)


def test_what_is_too_large_is_refused_before_it_is_written(tmp_path):
    with pytest.raises(TempoError, match=r"needs 5\.0 GB.*limited to 1\.0 GB.*TEMPO_CACHE_GB"):
        DiskCache(tmp_path, limit_bytes=10**9).writer("key", expected_bytes=5 * 10**9)
    with pytest.raises(TempoError, match="free: set TEMPO_CACHE"):
        DiskCache(tmp_path, limit_bytes=10**19).writer("key", expected_bytes=10**18)
    with pytest.raises(TempoError, match=r"on the device needs 9\.0 GB.*1\.0 GB are free.*cache='disk'"):
        check_room(9 * 10**9, 10**9, cache="device")
    check_room(10, 10, cache="host")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(TempoError, match=r"file/sub: not writable"):
        DiskCache(file / "sub").writer("key", expected_bytes=1)


def test_the_environment_says_where_and_how_much(tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPO_CACHE", str(tmp_path / "x"))
    monkeypatch.setenv("TEMPO_CACHE_GB", "0.5")
    cache = DiskCache()
    assert (cache.root, cache.limit_bytes) == (tmp_path / "x", 500_000_000)
    monkeypatch.setenv("TEMPO_CACHE_GB", "lots")
    with pytest.raises(UsageError, match="TEMPO_CACHE_GB='lots'"):
        DiskCache()


def test_places_that_do_not_exist():
    assert check_kind("host") == "host"
    with pytest.raises(UsageError, match="cache='cloud'"):
        check_kind("cloud")
