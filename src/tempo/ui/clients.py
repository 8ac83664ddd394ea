"""The sessions of all browser pages, and the limit on how many of them have a video open."""

from __future__ import annotations

import secrets
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tempo.errors import TempoError
from tempo.inference.cache_policy import CacheKind

from .client import Admission, ClientSession
from .request_queue import RequestQueue

if TYPE_CHECKING:
    from tempo.inference.engine import Tempo

OPEN_CONCURRENCY = 4  # files that are opened at the same time
MAX_IDLE_SESSIONS = 1000  # sessions without a video; beyond this the oldest are dropped


class ClientSessions:
    """Sessions, found by the name of their browser page or by the key of their files.

    Args:
        folder: holds the files of all sessions; deleted when the server closes.
        max_open: sessions with an open video; one more evicts the least recently used session.
        max_queued: requests that may wait for the model.
        cache: where watched videos are cached.
    """

    def __init__(
        self,
        model: Tempo,
        folder: Path,
        *,
        max_open: int,
        max_queued: int,
        cache: CacheKind = "auto",
    ) -> None:
        self.model = model
        self.request_queue = RequestQueue(max_queued)
        self.open_queue = RequestQueue(max_queued, concurrency=OPEN_CONCURRENCY)
        self._folder = folder
        self._max_open = max_open
        self._cache = cache
        self._clients: dict[str, ClientSession] = {}
        self._lock = threading.Lock()

    def get_or_create(self, page: str) -> ClientSession:
        """The session of a browser page; a new page gets a new one."""
        with self._lock:
            if page not in self._clients:
                key = secrets.token_urlsafe(18)
                self._clients[page] = ClientSession(
                    self.model,
                    self.request_queue,
                    self._folder / key,
                    key=key,
                    open_queue=self.open_queue,
                    cache=self._cache,
                )
                stale = [
                    name
                    for name, client in self._clients.items()
                    if client.open_video is None and not client.is_busy
                ]
                too_many = max(0, len(self._clients) - MAX_IDLE_SESSIONS)
                gone = [self._clients.pop(name) for name in stale[:too_many]]
            else:
                gone = []
            client = self._clients[page]
        for old in gone:
            old.close()
        return client

    def remove(self, page: str) -> None:
        """End the session of a page that was closed."""
        with self._lock:
            client = self._clients.pop(page, None)
        if client is not None:
            client.close()

    def by_key(self, key: str) -> ClientSession | None:
        """The session whose files have KEY in their URL, or None."""
        given = key.encode("utf-8", "replace")  # a URL may hold anything
        with self._lock:
            clients = self._clients.values()
            return next((one for one in clients if secrets.compare_digest(one.key.encode(), given)), None)

    def admission_for(self, client: ClientSession) -> Admission:
        """How CLIENT gets room for its next video."""
        return Admission(admit=lambda: self.admit(client), evict=lambda: self.evict(client))

    def admit(self, client: ClientSession) -> None:
        """Make sure that CLIENT may open a video: evict other sessions while too many have one open.

        Raises:
            TempoError: every other session is busy.
        """
        while self._count_open(without=client) >= self._max_open:
            if not self.evict(client):
                raise TempoError(
                    f"all {self._max_open} sessions with an open video are busy; try again in a minute"
                )

    def evict(self, client: ClientSession) -> bool:
        """Close the video of the least recently used idle session but CLIENT; False if there is none."""
        with self._lock:
            others = (one for one in self._clients.values() if one is not client)
            idle = [one for one in others if one.open_video and not one.is_busy]
            if not idle:
                return False
            min(idle, key=lambda one: one.last_used).drop(evicted=True)
            return True

    def _count_open(self, *, without: ClientSession) -> int:
        with self._lock:
            return sum(one.open_video is not None for one in self._clients.values() if one is not without)

    def close(self) -> None:
        """End every session and delete all files."""
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()
        shutil.rmtree(self._folder, ignore_errors=True)
