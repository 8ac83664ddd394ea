"""What Prometheus is told of the server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600)


class LiveGauge(NamedTuple):
    """A number that is read when Prometheus asks."""

    name: str
    says: str
    value: Callable[[], float]


class _MediaBytes:
    """Counts the bytes of videos that came in."""

    def __init__(self, by_source: Callable[[], dict[str, int]]) -> None:
        self._by_source = by_source

    def collect(self) -> Iterator[Any]:
        """Called by Prometheus' client."""
        from prometheus_client.core import CounterMetricFamily

        family = CounterMetricFamily("tempo_media_bytes", "Bytes of videos by source", labels=["source"])
        for source, count in self._by_source().items():
            family.add_metric([source], count)
        yield family


class Metrics:
    """Counts requests, tokens, cache use and latencies of one server.

    Args:
        gauges: what can be read at any time.
        media_bytes: bytes of videos that came in, by source.
    """

    def __init__(self, gauges: Sequence[LiveGauge], media_bytes: Callable[[], dict[str, int]]) -> None:
        import prometheus_client
        from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

        self.registry = registry = CollectorRegistry()
        for gauge in gauges:
            prometheus_client.Gauge(gauge.name, gauge.says, registry=registry).set_function(gauge.value)
        registry.register(_MediaBytes(media_bytes))
        ProcessCollector(registry=registry)
        self._first = Histogram(
            "tempo_time_to_first_token_seconds",
            "From the request to the first text, by whether its video was watched before",
            ["cached"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._opening = Histogram(
            "tempo_media_open_seconds", "Fetching and opening a video", buckets=_SECONDS, registry=registry
        )
        self._tokens = Counter("tempo_tokens", "Tokens by kind", ["kind"], registry=registry)
        self._cache = Counter("tempo_cache", "Questions by hit or miss", ["result"], registry=registry)

    def text(self) -> bytes:
        """In Prometheus' format."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry)

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Measure how long fetching and opening a video takes."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self._opening.observe(time.perf_counter() - begun)

    def first_token(self, seconds: float, *, cached: bool) -> None:
        """An answer has begun."""
        self._first.labels("yes" if cached else "no").observe(seconds)

    def answered(self, prompt: int, visual: int, written: int, *, known: bool) -> None:
        """An answer is whole.

        Args:
            prompt: tokens that the decoder read, those of the video among them.
            visual: tokens of the video.
            written: tokens of the answer.
            known: whether its video was watched before.
        """
        self._cache.labels("hit" if known else "miss").inc()
        self._tokens.labels("prompt").inc(prompt)
        self._tokens.labels("video").inc(visual)
        self._tokens.labels("completion").inc(written)
