"""The open video of a browser page: its file, its watched session, and its frames as JPEG."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tempo.inference.session import Session
from tempo.reporting.plot.thumbnails import thumbnail
from tempo.video.video import Video

# Context that is reserved for question and answer, and for the timestamp of each segment.
TEXT_TOKENS, TIMESTAMP_TOKENS = 1024, 12
CACHED_FRAMES = 256  # JPEG files of a few kilobytes
# What browsers play and show; for every other file the page shows single frames.
PLAYED = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/mp4",
    ".webm": "video/webm",
    ".mkv": "video/webm",
    ".ogv": "video/ogg",
}
SHOWN = {
    ".gif": "image/gif",
    ".png": "image/png",
    ".apng": "image/apng",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
    ".avif": "image/avif",
}


@dataclass(frozen=True)
class Span:
    """A segment's time, before a question gives it relevance and tokens."""

    start: float
    end: float
    relevance: float = 0.0
    tokens: int = 0


class Frames:
    """Thumbnails of a video, decoded on request and cached.

    Args:
        path: the file; it gets a decoder of its own, apart from the one that watches it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._video: Video | None = None
        self._lock = threading.Lock()
        self._cached: OrderedDict[float, bytes | None] = OrderedDict()

    def jpeg(self, time: float) -> bytes | None:
        """The frame at TIME seconds as JPEG, or None if it cannot be decoded."""
        with self._lock:
            if time not in self._cached:
                if self._video is None:
                    self._video = Video.open(self._path)
                self._cached[time] = _jpeg(self._video, min(max(time, 0.0), self._video.duration))
                if len(self._cached) > CACHED_FRAMES:
                    self._cached.popitem(last=False)
            self._cached.move_to_end(time)
            return self._cached[time]


def _jpeg(video: Video, time: float) -> bytes | None:
    found = thumbnail(video, [Span(time, time)], 0)
    if found is None:
        return None
    data = io.BytesIO()
    Image.fromarray(found.pixels).save(data, "JPEG", quality=82)
    return data.getvalue()


class OpenVideo:
    """A video that is open on a page.

    Attributes:
        path: the file that is watched, and played if the browser can.
        title: the name that the page shows.
        session: the watched video, ready for questions.
        questions: suggestions; only examples have them.
        watched: seconds that watching took.
    """

    def __init__(
        self, path: Path, title: str, session: Session, *, questions: tuple[str, ...], watched: float
    ) -> None:
        self.path = path
        self.title = title
        self.session = session
        self.questions = questions
        self.watched = watched
        self.frames = Frames(path)

    @property
    def media_type(self) -> str | None:
        """The MIME type as which a browser plays or shows the file, or None if it cannot."""
        suffix = self.path.suffix.lower()
        return {**PLAYED, **SHOWN}.get(suffix) if self.path.is_file() else None

    @property
    def is_played(self) -> bool:
        """Whether the browser plays it, rather than shows it as an image."""
        return (self.media_type or "").startswith("video/")

    @property
    def spans(self) -> list[Span]:
        """The times of the segments."""
        segment = self.session.engine.config.segment_frames
        starts = self.session.sampling.times[::segment].tolist()
        if self.session.video.kind == "image":
            return [Span(0.0, 0.0)]
        return [
            Span(start, end)
            for start, end in zip(starts, [*starts[1:], self.session.video.duration], strict=True)
        ]

    @property
    def min_budget(self) -> int:
        """The smallest budget: one token a segment."""
        return len(self.spans)

    @property
    def max_budget(self) -> int:
        """The largest budget: every memory token of every segment, or as many as the context holds."""
        config = self.session.engine.config
        count = len(self.spans)
        capacity = config.context - TEXT_TOKENS - count * TIMESTAMP_TOKENS
        return max(self.min_budget, min(count * config.num_compression_tokens, capacity))

    @property
    def default_budget(self) -> int:
        """The model's own budget, within the limits."""
        usual = self.session.engine.config.visual_token_budget
        return min(max(self.min_budget, usual), self.max_budget)
