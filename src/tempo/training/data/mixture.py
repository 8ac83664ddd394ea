"""Which sample of which source comes when.

Sample n is a pure function of the seed and n, so a run resumes where it stopped, on any number of processes,
without replaying anything. Samples come in blocks in each of which every source has its share;
within a source every record comes once before any comes twice, in an order of its own each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

BLOCK = 4096


class Mixture:
    """Which record of which source sample n is.

    Args:
        weights: how often each source is sampled, relative to the others.
        sizes: records of each source; None: it has no end.
    """

    def __init__(self, weights: Sequence[float], sizes: Sequence[int | None], *, seed: int) -> None:
        self.sizes = tuple(sizes)
        self.seed = seed
        self.quotas = _quotas(weights)
        self._block = lru_cache(maxsize=4)(self._make_block)
        self._order = lru_cache(maxsize=2 * len(self.sizes))(self._make_order)

    def __getitem__(self, index: int) -> tuple[int, int]:
        """(source, record) of a sample; of a source without end the record counts on."""
        number, place = divmod(index, BLOCK)
        sources, ranks = self._block(number)
        source = int(sources[place])
        nth = number * self.quotas[source] + int(ranks[place])
        return source, self._record(source, nth)

    def substitute(self, index: int, attempt: int) -> tuple[int, int]:
        """What to take, of the same source, instead of a sample that cannot be read."""
        source, _ = self[index]
        size = self.sizes[source]
        rng = np.random.default_rng([self.seed, 3, index, attempt])
        return source, int(rng.integers(size if size is not None else 1 << 62))

    def _record(self, source: int, nth: int) -> int:
        size = self.sizes[source]
        if size is None:
            return nth
        epoch, place = divmod(nth, size)
        return int(self._order(source, epoch)[place])

    def _make_order(self, source: int, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.seed, 2, source, epoch]).permutation(self.sizes[source] or 0)

    def _make_block(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The source of each sample of a block, and how many samples of that source come before it."""
        sources = np.repeat(np.arange(len(self.quotas)), self.quotas)
        sources = np.random.default_rng([self.seed, 1, number]).permutation(sources)
        ranks = np.empty(BLOCK, np.int64)
        for source, quota in enumerate(self.quotas):
            ranks[sources == source] = np.arange(quota)
        return sources, ranks

    def __getstate__(self) -> dict[str, object]:
        return {"sizes": self.sizes, "seed": self.seed, "quotas": self.quotas}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._block = lru_cache(maxsize=4)(self._make_block)
        self._order = lru_cache(maxsize=2 * len(self.sizes))(self._make_order)


def _quotas(weights: Sequence[float]) -> list[int]:
    """How many samples of a block each source has: in proportion, at least one, in sum the block."""
    exact = np.asarray(weights, float) / sum(weights) * BLOCK
    quotas = np.maximum(1, np.floor(exact)).astype(int)
    for source in np.argsort(exact - quotas)[::-1]:
        if quotas.sum() >= BLOCK:
            break
        quotas[source] += 1
    quotas[quotas.argmax()] += BLOCK - quotas.sum()
    return quotas.tolist()
