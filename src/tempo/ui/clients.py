"""All visitors of a page, and how many of them may have a video open at once."""

from __future__ import annotations

import secrets
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tempo.errors import TempoError
from tempo.inference.cache_policy import CacheKind

from .client import Room, Visit
from .request_queue import Line

if TYPE_CHECKING:
    from tempo.inference.engine import Tempo

OPENED_AT_ONCE = 4  # files, of all visitors
LONGEST_UNUSED = 1000  # visits without a video that are remembered, at most


class Visits:
    """Visitors by the name that the browser's page has, and by the key of their files.

    Args:
        folder: for their files; removed at the end.
        most_open: how many may have a video open; for one more, the one that was not used for longest is
            let go.
        most_waiting: how many may wait for their turn at the model.
    """

    def __init__(
        self,
        model: Tempo,
        folder: Path,
        *,
        most_open: int,
        most_waiting: int,
        cache: CacheKind = "auto",
    ) -> None:
        self.model = model
        self.line = Line(most_waiting)
        self.openings = Line(most_waiting, at_once=OPENED_AT_ONCE)
        self._folder = folder
        self._most_open = most_open
        self._cache = cache
        self._visits: dict[str, Visit] = {}
        self._lock = threading.Lock()

    def arrive(self, page: str) -> Visit:
        """A page was opened, or asks again who it is."""
        with self._lock:
            if page not in self._visits:
                key = secrets.token_urlsafe(18)
                self._visits[page] = Visit(
                    self.model,
                    self.line,
                    self._folder / key,
                    key=key,
                    openings=self.openings,
                    cache=self._cache,
                )
                stale = [
                    name for name, visit in self._visits.items() if visit.film is None and not visit.is_busy
                ]
                too_many = max(0, len(self._visits) - LONGEST_UNUSED)
                gone = [self._visits.pop(name) for name in stale[:too_many]]
            else:
                gone = []
            visit = self._visits[page]
        for old in gone:
            old.close()
        return visit

    def leave(self, page: str) -> None:
        """A page was closed: its work stops and its video is let go."""
        with self._lock:
            visit = self._visits.pop(page, None)
        if visit is not None:
            visit.close()

    def with_key(self, key: str) -> Visit | None:
        """Whose files have KEY in their address; None: nobody's."""
        given = key.encode("utf-8", "replace")  # whatever stood in the address
        with self._lock:
            visits = self._visits.values()
            return next((v for v in visits if secrets.compare_digest(v.key.encode(), given)), None)

    def room_for(self, visit: Visit) -> Room:
        """How VISIT comes by room."""
        return Room(place=lambda: self.make_place(visit), more=lambda: self.make_room(visit))

    def make_place(self, visit: Visit) -> None:
        """Before VISIT opens a video: let others go as long as too many are open.

        Raises:
            TempoError: all of the others are busy.
        """
        while self._count_open(besides=visit) >= self._most_open:
            if not self.make_room(visit):
                raise TempoError(
                    f"{self._most_open} other visitors have a video open and are busy; try again in a minute"
                )

    def make_room(self, visit: Visit) -> bool:
        """Let the video go, of all but VISIT, that was not used for longest. False: there is none."""
        with self._lock:
            idle = [v for v in self._visits.values() if v is not visit and v.film and not v.is_busy]
            if not idle:
                return False
            min(idle, key=lambda v: v.last_used).drop(for_others=True)
            return True

    def _count_open(self, *, besides: Visit) -> int:
        with self._lock:
            return sum(v.film is not None for v in self._visits.values() if v is not besides)

    def close(self) -> None:
        """The server ends."""
        with self._lock:
            visits, self._visits = list(self._visits.values()), {}
        for visit in visits:
            visit.close()
        shutil.rmtree(self._folder, ignore_errors=True)
