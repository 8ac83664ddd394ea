"""The tiny reference model over several replicas: in threads, which start at once, and in processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import clips
import tempo
from reference_cases import REFERENCE
from tempo import Tempo
from tempo.distributed.distributed_engine import DistributedTempo
from tempo.distributed.replica import replica_in_thread
from tempo.distributed.replica_pool import ReplicaPool
from tempo.inference.prefix_cache import DiskCache


@pytest.fixture(scope="session")
def three_threads(tiny: Tempo) -> Iterator[DistributedTempo]:
    """Replicas in three threads of this process, as several GPUs have them."""
    pool = ReplicaPool([lambda: replica_in_thread(tiny, tiny.device)] * 3)
    model = DistributedTempo(tiny, pool)
    yield model
    model.close()


@pytest.fixture
def three(three_threads: DistributedTempo, tmp_path: Path) -> DistributedTempo:
    """The same with a disk cache of its own."""
    three_threads.disk = DiskCache(tmp_path / "kept-by-three")
    return three_threads


@pytest.fixture(scope="session")
def two_processes() -> Iterator[DistributedTempo]:
    """One replica in this process, and one in another."""
    model = tempo.load(REFERENCE / "tempo-tiny", devices=["cpu", "cpu"], dtype="float32")
    assert isinstance(model, DistributedTempo)
    yield model
    model.close()


@pytest.fixture
def two(two_processes: DistributedTempo, tmp_path: Path) -> DistributedTempo:
    """The same with a disk cache of its own."""
    two_processes.disk = DiskCache(tmp_path / "kept-by-two")
    return two_processes


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds with a keyframe a second: five segments, the last one shorter."""
    return clips.write(tmp_path_factory.mktemp("film") / "film.mp4", count=95, rate=5, options={"g": "5"})
