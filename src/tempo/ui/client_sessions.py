"""What each visitor has open: one session for each browser page, found by an unguessable key."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time

from tempo.host_memory import release_freed
from tempo.serving.api_errors import ApiError
from tempo.serving.uploads import Upload, Uploads

from .open_video import OpenVideo

MAX_OPEN = 8  # videos of one session, and uploads that it has not opened yet
MAX_SESSIONS = 1000
IDLE_SECONDS = 3600.0  # the page says every minute that it is still there, unless its machine sleeps
LEAVE_SECONDS = 120.0  # a page that is loaded again, or that its browser put aside, comes back within


class ClientSession:
    """The videos that one browser page has open, and the files that it sent."""

    def __init__(self) -> None:
        self.key = secrets.token_urlsafe(18)
        self.videos: dict[str, OpenVideo] = {}
        self.uploads: dict[str, Upload] = {}
        self.closed = False
        self.left: float | None = None  # when the page was closed, unless it has come back
        self._until = time.monotonic() + IDLE_SECONDS

    @property
    def is_over(self) -> bool:
        """Whether nobody has been heard of for too long."""
        return time.monotonic() > self._until

    def touch(self) -> None:
        """The page is there."""
        self.left = None
        self._until = time.monotonic() + IDLE_SECONDS

    def leave(self) -> None:
        """The page was closed, put aside by the browser, or is being loaded again."""
        for opened in self.videos.values():
            opened.work.set()
        self.left = time.monotonic()
        self._until = self.left + LEAVE_SECONDS

    def video(self, identity: str) -> OpenVideo:
        """Raises ApiError where it is not open."""
        if identity not in self.videos:
            raise ApiError(404, "this video is not open any more; open it again", param="video")
        return self.videos[identity]

    def add(self, opened: OpenVideo) -> None:
        """Raises ApiError: too many are open, or the session has ended."""
        if self.closed:
            raise ApiError(410, "this page was closed; load it again")
        if len(self.videos) >= MAX_OPEN:
            raise ApiError(409, f"{MAX_OPEN} videos are open; close one first")
        self.videos[opened.id] = opened


class ClientSessions:
    """All sessions.

    Args:
        uploads: from which the files of a session are removed when it ends.
    """

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads
        self._sessions: dict[str, ClientSession] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self) -> ClientSession:
        """A new session; where there are too many, the first that was left ends for it.

        Raises:
            ApiError: too many are there and none was left.
        """
        session, ended = ClientSession(), None
        with self._lock:
            if len(self._sessions) >= MAX_SESSIONS:
                gone = [one for one in self._sessions.values() if one.left is not None]
                if not gone:
                    raise ApiError(429, f"{MAX_SESSIONS} pages are open; try again in some minutes")
                ended = min(gone, key=lambda one: one.left or 0.0)
                del self._sessions[ended.key]
            self._sessions[session.key] = session
        if ended is not None:
            self.end(ended)
        return session

    def get(self, key: str) -> ClientSession:
        """The session with this key, which counts as heard of. Raises ApiError where there is none."""
        session = self._sessions.get(key)
        if session is None:
            raise ApiError(410, "this page was idle for too long; load it again")
        session.touch()
        return session

    def end(self, session: ClientSession) -> None:
        """Stop its work and delete its files."""
        with self._lock:
            self._sessions.pop(session.key, None)
        session.closed = True
        for identity in list(session.videos):
            self.close_video(session, identity)
        for identity in list(session.uploads):
            self.remove_upload(session, identity)
        release_freed()

    def close_video(self, session: ClientSession, identity: str) -> None:
        """Close a video of a session, end what is done with it, and delete it if it was uploaded."""
        opened = session.videos.pop(identity, None)
        if opened is None:
            return
        opened.work.set()
        if opened.source.kind == "upload":
            self.remove_upload(session, opened.source.id)

    def remove_upload(self, session: ClientSession, identity: str) -> None:
        """Delete a file that a session sent."""
        if session.uploads.pop(identity, None) is not None:
            with contextlib.suppress(ApiError):  # it has expired
                self._uploads.remove(identity)

    def end_idle(self) -> None:
        """End the sessions of pages that are gone."""
        with self._lock:
            over = [session for session in self._sessions.values() if session.is_over]
        for session in over:
            self.end(session)

    def close(self) -> None:
        """End all."""
        for session in list(self._sessions.values()):
            self.end(session)
