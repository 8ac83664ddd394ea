"""What Prometheus is told of the server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from tempo.inference.compute_turn import ComputeTurn
from tempo.inference.results import Answer

from .fetched_files import FetchedFiles
from .scheduler import QuestionScheduler
from .uploads import Uploads
from .watched_videos import WatchedVideos

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600)


class Served(Protocol):
    """What is told of; see :class:`tempo.serving.service.Service`."""

    turn: ComputeTurn
    scheduler: QuestionScheduler
    watched: WatchedVideos
    fetched: FetchedFiles
    uploads: Uploads

    @property
    def open_requests(self) -> int:
        """Requests that run or wait."""


class _MediaBytes:
    """Counts the bytes of videos that came in."""

    def __init__(self, served: Served) -> None:
        self._served = served

    def collect(self) -> Iterator[Any]:
        """Called by Prometheus' client."""
        from prometheus_client.core import CounterMetricFamily

        family = CounterMetricFamily("tempo_media_bytes", "Bytes of videos by source", labels=["source"])
        family.add_metric(["fetched"], self._served.fetched.bytes_fetched)
        family.add_metric(["uploaded"], self._served.uploads.bytes_received)
        yield family


class Metrics:
    """Counts requests, tokens, cache use and latencies of one server."""

    def __init__(self, served: Served) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

        self.registry = registry = CollectorRegistry()
        gauges: tuple[tuple[str, str, Callable[[], float]], ...] = (
            ("tempo_requests_running", "Requests being answered", lambda: served.open_requests),
            ("tempo_steps_waiting", "Requests waiting for their turn", lambda: served.turn.waiting),
            ("tempo_questions_waiting", "Questions to be compressed", lambda: served.scheduler.waiting),
            ("tempo_answers_writing", "Answers written side by side", lambda: served.scheduler.writing),
            ("tempo_watched_videos", "Watched videos that are kept", lambda: len(served.watched)),
            ("tempo_watched_bytes", "Memory that they take", lambda: served.watched.bytes),
        )
        for name, says, value in gauges:
            Gauge(name, says, registry=registry).set_function(value)
        registry.register(_MediaBytes(served))
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

    def answered(self, answer: Answer, *, known: bool) -> None:
        """An answer is whole; `known`: its video was watched before."""
        self._cache.labels("hit" if known else "miss").inc()
        self._tokens.labels("prompt").inc(answer.usage.prompt_tokens)
        self._tokens.labels("video").inc(answer.usage.visual_tokens)
        self._tokens.labels("completion").inc(answer.usage.answer_tokens)
