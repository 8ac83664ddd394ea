"""A video that a visitor has opened: the file, what the model keeps of it, and its frames to look at."""

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

TEXT_TOKENS, TIMESTAMP_TOKENS = 1024, 12  # of the context: for question and answer, and for a segment's time
KEPT_FRAMES = 256  # JPEG files of a few kilobytes
# What browsers play, and what they show; of everything else the frames are shown.
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
    """A stretch of time of which no question was asked yet."""

    start: float
    end: float
    relevance: float = 0.0
    tokens: int = 0


class Frames:
    """Small pictures of moments, decoded when they are asked for.

    Args:
        path: the file; it is opened anew, apart from whoever watches it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._video: Video | None = None
        self._lock = threading.Lock()
        self._kept: OrderedDict[float, bytes | None] = OrderedDict()

    def jpeg(self, time: float) -> bytes | None:
        """The frame on screen at TIME seconds; None where it cannot be decoded."""
        with self._lock:
            if time not in self._kept:
                if self._video is None:
                    self._video = Video.open(self._path)
                self._kept[time] = _jpeg(self._video, min(max(time, 0.0), self._video.duration))
                if len(self._kept) > KEPT_FRAMES:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(time)
            return self._kept[time]


def _jpeg(video: Video, time: float) -> bytes | None:
    found = thumbnail(video, [Span(time, time)], 0)
    if found is None:
        return None
    data = io.BytesIO()
    Image.fromarray(found.pixels).save(data, "JPEG", quality=82)
    return data.getvalue()


class Film:
    """What is open.

    Attributes:
        path: the file that is watched, and played where the browser can.
        title: its name as the visitor knows it.
        session: what the model keeps of it.
        questions: that could be asked, for the examples.
        watched: how many seconds watching took.
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
        """What a browser plays or shows the file as; None: it cannot."""
        suffix = self.path.suffix.lower()
        return {**PLAYED, **SHOWN}.get(suffix) if self.path.is_file() else None

    @property
    def is_played(self) -> bool:
        """Whether it goes into a player with a time line."""
        return (self.media_type or "").startswith("video/")

    @property
    def spans(self) -> list[Span]:
        """The segments, as far as they are known before a question."""
        segment = self.session.engine.config.segment_frames
        starts = self.session.sampling.times[::segment].tolist()
        if self.session.video.kind == "image":
            return [Span(0.0, 0.0)]
        return [
            Span(start, end)
            for start, end in zip(starts, [*starts[1:], self.session.video.duration], strict=True)
        ]

    @property
    def least_budget(self) -> int:
        """One token a segment."""
        return len(self.spans)

    @property
    def most_budget(self) -> int:
        """Every memory token of every segment, as far as the model's context goes."""
        config = self.session.engine.config
        count = len(self.spans)
        room = config.context - TEXT_TOKENS - count * TIMESTAMP_TOKENS
        return max(self.least_budget, min(count * config.num_compression_tokens, room))

    @property
    def usual_budget(self) -> int:
        """The model's own, within the limits."""
        usual = self.session.engine.config.visual_token_budget
        return min(max(self.least_budget, usual), self.most_budget)
