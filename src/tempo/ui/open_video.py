"""A video that a visitor has open: its file, how it is sampled, its frames, and the conversation about it."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tempo.inference.model_info import ModelInfo
from tempo.inference.results import Answer, VideoInfo
from tempo.inference.session import Session
from tempo.video.video import Video

from .frames import Frames
from .turns import Turn

SourceKind = Literal["upload", "library", "example"]
# Context that is reserved for question and answer, and for the timestamp of each segment.
TEXT_TOKENS, TIMESTAMP_TOKENS = 1024, 12
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
class Source:
    """Where a video comes from. `id` names it to the page: an upload, a library video or an example."""

    kind: SourceKind
    id: str
    path: Path
    title: str
    questions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Watched:
    """What is known once a video was watched. The session itself stays with the server, which shares it.

    Attributes:
        starts: when each segment begins, in seconds.
        frames, fps: how many frames were watched, and how many a second.
        timings: seconds that watching took, by phase; empty where it is not known.
        warnings: what to know before an answer is relied on.
        seconds: for which it was waited.
    """

    starts: tuple[float, ...]
    frames: int
    fps: float
    timings: dict[str, float]
    info: VideoInfo
    warnings: tuple[str, ...]
    seconds: float = 0.0

    @classmethod
    def of(cls, session: Session) -> Watched:
        """What SESSION says of itself."""
        every = session.engine.config.segment_frames
        return cls(
            starts=tuple(session.sampling.times[::every].tolist()),
            frames=len(session.sampling),
            fps=session.sampling.fps,
            timings=dict(session.timings),
            info=session.video_info,
            warnings=session.warnings,
        )

    @classmethod
    def of_answer(cls, answer: Answer) -> Watched:
        """What an ANSWER about all of it says."""
        return cls(
            starts=tuple(segment.start for segment in answer.segments),
            frames=answer.video.frames,
            fps=answer.video.fps,
            timings={},
            info=answer.video,
            warnings=answer.warnings,
        )


@dataclass
class OpenVideo:
    """An open video.

    Attributes:
        fps, max_frames: how it is sampled.
        watched: None until it was watched to the end.
        turns: the conversation.
        work: set it to end what is being done with this video.
    """

    source: Source
    video: Video
    fps: float | None
    max_frames: int
    id: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    watched: Watched | None = None
    turns: list[Turn] = field(default_factory=list)
    work: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.frames = Frames(self.source.path)

    @property
    def media_type(self) -> str | None:
        """The MIME type as which a browser plays or shows the file, or None if it cannot."""
        return {**PLAYED, **SHOWN}.get(Path(self.source.title).suffix.lower())

    def begin(self, work: threading.Event) -> None:
        """End what was being done with this video, and let WORK end what is done next."""
        self.work.set()
        self.work = work


@dataclass(frozen=True)
class BudgetLimits:
    """The least and the most tokens that a question may spend, and how many it spends unless it says."""

    least: int
    most: int
    usual: int

    @classmethod
    def of(cls, model: ModelInfo, segments: int) -> BudgetLimits:
        """From one token a segment to all of its memory tokens, or as many as the context holds."""
        capacity = model.context - TEXT_TOKENS - segments * TIMESTAMP_TOKENS
        most = max(segments, min(segments * model.memory_tokens, capacity))
        return cls(segments, most, min(max(segments, model.budget), most))

    def within(self, budget: float | None) -> int:
        """BUDGET, or the nearest that can be; None: the usual one."""
        return self.usual if budget is None else int(min(max(budget, self.least), self.most))
