"""What an answer knows of the video that was watched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from urllib.parse import urlsplit

from tempo.errors import TempoError
from tempo.video.video import Damage, Sampling, Video


@dataclass(frozen=True)
class LostSpan:
    """A stretch of a video that could not be shown, in seconds, and why."""

    start: float
    end: float
    reason: str


@dataclass(frozen=True)
class VideoInfo:
    """What was watched.

    Attributes:
        frames, fps: how many frames, and how many a second.
        lost_seconds: how much of it could not be shown.
        lost: the spans that this comes to, and why.
        remarks: what was done about times in the file that cannot be taken as they are, a line each.
        generated: whether tempo generated it, as the file says.
        fingerprint: hash of the content, by which :meth:`open` knows it again; "": not known.
    """

    path: str | None
    duration: float
    width: int
    height: int
    frames: int
    fps: float
    lost_seconds: float
    lost: tuple[LostSpan, ...] = ()
    remarks: tuple[str, ...] = ()
    generated: bool = False
    fingerprint: str = ""

    @classmethod
    def of(cls, video: Video, sampling: Sampling, damage: Damage, *, fingerprint: str) -> VideoInfo:
        """Describe VIDEO, of which the moments of SAMPLING were watched."""
        return cls(
            path=video.path,
            duration=video.duration,
            width=video.width,
            height=video.height,
            frames=len(sampling),
            fps=sampling.fps,
            lost_seconds=damage.seconds,
            lost=tuple(
                LostSpan(start, end, reason)
                for (start, end), reason in zip(damage.spans, damage.reasons, strict=True)
            ),
            remarks=video.remarks,
            generated=video.generated,
            fingerprint=fingerprint,
        )

    @property
    def name(self) -> str:
        """The name of the file without its folders, or "frames" where there was no file."""
        if self.path is None:
            return "frames"
        path = urlsplit(self.path).path if "://" in self.path else self.path
        return PurePath(path).name or self.path

    def open(self) -> Video:
        """Open the video again.

        Raises:
            TempoError: it is gone, or it is not the one that was watched.
        """
        if self.path is None:
            raise TempoError("what was watched has no file to read again; pass its Video as video=")
        video = Video.open(self.path)
        try:
            same = self.fingerprint in ("", video.fingerprint)
        except OSError as error:
            raise TempoError(f"{self.path}: cannot be read ({error.strerror}); check the path") from error
        if not same:
            raise TempoError(
                f"{self.path}: not what was watched, it has changed since; watch it again, or pass the Video "
                "that was watched as video="
            )
        return video


def fingerprint_of(video: Video) -> str:
    """By which a file is known again; "" where there is none, or it cannot be read any more.

    An address has none either: reading its ends could cost a request, and fail.
    """
    if video.path is None or "://" in video.path:
        return ""
    try:
        return video.fingerprint
    except OSError:
        return ""
