"""The examples of a run, one a draw: read ahead, in a fixed order; what cannot be read is named."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader, Dataset

from research.nano.datasets.world_clips import NothingAsked, world_example
from tempo.errors import TempoError
from tempo.training.config import Source

from .llava import Records
from .mixture import Mixture
from .processor import Example, Reader

ATTEMPTS = 20  # substitutes that are tried for one draw


@dataclass(frozen=True)
class Skipped:
    """A sample that could not be read."""

    name: str
    reason: str


@dataclass(frozen=True)
class Drawn:
    """What a draw gave. No example: as many substitutes as are tried could not be read either."""

    example: Example | None
    skipped: list[Skipped]
    source: str


class Draws(Dataset[Drawn]):
    """Draw n, always the same for the same seed.

    Raises:
        TempoError: a source is missing or has no records.
    """

    def __init__(self, sources: Sequence[Source], reader: Reader, *, seed: int) -> None:
        self.sources = tuple(sources)
        self.reader = reader
        self.seed = seed
        self.records = [Records(s.path, s.media) if s.path is not None else None for s in self.sources]
        self.names = [
            source.name or (records.path.stem if records is not None else "world")
            for source, records in zip(self.sources, self.records, strict=True)
        ]
        sizes = [len(records) if records is not None else None for records in self.records]
        self.mixture = Mixture([source.weight for source in self.sources], sizes, seed=seed)

    @property
    def size(self) -> int:
        """Records of all files together."""
        return sum(len(records) for records in self.records if records is not None)

    def __getitem__(self, draw: int) -> Drawn:
        skipped: list[Skipped] = []
        source, record = self.mixture[draw]
        for attempt in range(ATTEMPTS):
            name = self.name(source, record)
            try:
                example = self.read(source, record, seed=f"{self.seed}/{draw}/{attempt}")
                return Drawn(example, skipped, self.names[source])
            except NothingAsked:
                pass
            except TempoError as error:
                skipped.append(Skipped(name, str(error)))
            source, record = self.mixture.substitute(draw, attempt)
        return Drawn(None, skipped, self.names[source])

    def read(self, source: int, record: int, *, seed: str) -> Example:
        """One example.

        Raises:
            TempoError: it cannot be read.
        """
        name = self.name(source, record)
        world, records = self.sources[source].world, self.records[source]
        if world is not None:
            return world_example(self.reader, world, name=name, seed=f"world/{self.seed}/{source}/{record}")
        assert records is not None
        return self.reader.read(records.read(record), name=name, seed=seed)

    def name(self, source: int, record: int) -> str:
        """How messages call a sample."""
        records = self.records[source]
        return records.name(record) if records is not None else f"{self.names[source]}:{record}"


def _begin_worker(number: int) -> None:
    """Ctrl-C is for the process that trains; a request to end is obeyed at once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def drawn_ahead(draws: Draws, order: Sequence[int], *, workers: int) -> Iterator[Drawn]:
    """The draws in `order`, made by `workers` processes ahead of when they are wanted; 0: here and now."""
    ahead: dict[str, Any] = {}
    if workers:
        # A forked process starts at once and has everything; elsewhere it is sent what it needs.
        ahead["multiprocessing_context"] = "fork" if sys.platform == "linux" else "spawn"
        ahead["prefetch_factor"] = 4
        ahead["worker_init_fn"] = _begin_worker
    try:
        yield from DataLoader(draws, batch_size=None, sampler=order, num_workers=workers, **ahead)
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise TempoError(
            "a process that reads samples was killed, perhaps for want of memory; lower workers, and resume"
        ) from error
