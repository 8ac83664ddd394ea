"""The samples of a run: a mixture of sources in a fixed order, loaded ahead; what cannot be read is named."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch.utils.data import DataLoader, Dataset

from tempo.errors import TempoError
from tempo.host_memory import allow_many_open_files
from tempo.training.config import DataConfig

from .mixture import Mixture
from .sources import NoSampleError, SourceContext, name_of, open_source

ATTEMPTS = 20  # substitutes that are tried for one sample


@dataclass(frozen=True)
class SkippedSample:
    """A sample that could not be read."""

    name: str
    reason: str


@dataclass(frozen=True)
class Sample:
    """What the dataset has at an index.

    Attributes:
        example: what the objective takes. None: none of the substitutes that were tried could be read either.
        name: for messages.
        source: the name of its source.
    """

    example: Any
    name: str
    skipped: list[SkippedSample]
    source: str


class MixtureDataset(Dataset[Sample]):
    """Sample n of several sources, mixed by weight; always the same for the same seed.

    Args:
        where: the recipe's field, for messages.

    Raises:
        TempoError: a source is missing or has no records.
    """

    def __init__(
        self, configs: Sequence[DataConfig], context: SourceContext, *, seed: int, where: str = "data"
    ) -> None:
        self.seed = seed
        self.sources = [
            open_source(config, replace(context, seed=f"{context.seed}/{number}"), f"{where}.{number}")
            for number, config in enumerate(configs)
        ]
        self.names = [name_of(*pair) for pair in zip(configs, self.sources, strict=True)]
        weights = [config.weight for config in configs]
        self.mixture = Mixture(weights, [source.size for source in self.sources], seed=seed)

    @property
    def records(self) -> int | None:
        """Records of all sources together; None: one of them has no end."""
        sizes = [source.size for source in self.sources]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def generated(self) -> bool:
        """Whether code renders every sample."""
        return all(source.generated for source in self.sources)

    def __getitem__(self, index: int) -> Sample:
        skipped: list[SkippedSample] = []
        number, record = self.mixture[index]
        name = ""
        for attempt in range(ATTEMPTS):
            name = self._name(number, record)
            try:
                example = self.sources[number].read(record, f"{self.seed}/{index}/{attempt}")
                return Sample(example, name, skipped, self.names[number])
            except NoSampleError:
                pass
            except TempoError as error:
                skipped.append(SkippedSample(name, str(error)))
            number, record = self.mixture.substitute(index, attempt)
        return Sample(None, name, skipped, self.names[number])

    def _name(self, number: int, record: int) -> str:
        source = self.sources[number]
        return source.name(record) if source.size is not None else f"{self.names[number]}:{record}"


def _begin_worker(number: int) -> None:
    """Ctrl-C is for the process that trains; a request to end is obeyed at once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def prefetch(dataset: Dataset[Sample], order: Sequence[int], *, num_workers: int) -> Iterator[Sample]:
    """The samples in `order`, loaded by other processes ahead of when they are wanted; 0: here and now."""
    ahead: dict[str, Any] = {}
    if num_workers:
        # A forked process starts at once and has everything; elsewhere it is sent what it needs.
        ahead["multiprocessing_context"] = "fork" if sys.platform == "linux" else "spawn"
        ahead["prefetch_factor"] = 4
        ahead["worker_init_fn"] = _begin_worker
        allow_many_open_files()  # every tensor that waits is one
    try:
        yield from DataLoader(dataset, batch_size=None, sampler=order, num_workers=num_workers, **ahead)
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise TempoError(
            "a process that loads samples was killed, perhaps out of memory; lower num_workers, and resume"
        ) from error
