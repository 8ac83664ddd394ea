"""What a question gets back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from html import escape
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tempo.errors import TempoError, UsageError
from tempo.formatting import clock, clock_span, counted, size
from tempo.markup import film_strip
from tempo.moments import COUNT, Moment, frame_time, strongest
from tempo.number_checks import is_whole, shown
from tempo.reporting.answer_page import to_page
from tempo.reporting.output_path import check_output, write_output
from tempo.reporting.plot import Figure, Thumbnail, draw, thumbnails, to_svg
from tempo.reporting.plot.figure import FORMATS as PICTURES
from tempo.reporting.srt import to_srt
from tempo.video.stills import frame_at
from tempo.video.video import Video

from .serialization import moment_values, segment_values
from .timestamps import with_clock_times
from .video_info import VideoInfo

if TYPE_CHECKING:
    import pandas

# Endings of the files that an answer can be saved as.
FORMATS = (".html", *PICTURES, ".json", ".srt", ".txt")


@dataclass(frozen=True)
class AnswerSegment:
    """A few seconds of the video and how much of them the answer rests on.

    Attributes:
        start, end, timestamp: seconds; `timestamp` is what the decoder read before its tokens.
        relevance: how relevant the compressor found it for the question, in (0, 1).
        tokens: how many of its memory tokens the decoder read.
    """

    index: int
    start: float
    end: float
    timestamp: float
    relevance: float
    tokens: int


@dataclass(frozen=True)
class Usage:
    """What an answer took.

    Attributes:
        visual_tokens: memory tokens that the decoder read; timestamps do not count.
        prompt_tokens: everything that the decoder read.
        answer_tokens: what it wrote.
        timings: seconds by phase: decode, watch, route, distil, answer, total. Decode is the time spent
            waiting for frames. Decode and watch are 0 where the video was watched before the question.
        peak_memory_bytes: the most memory that the process has used so far, of the GPU's where one computes.
    """

    visual_tokens: int
    prompt_tokens: int
    answer_tokens: int
    timings: dict[str, float]
    peak_memory_bytes: int


@dataclass(frozen=True, eq=False, repr=False)
class MomentFrame:
    """A frame of a moment, from the middle of its most relevant segment.

    Attributes:
        time: seconds, of the frame itself.
        pixels: uint8 [H, W, 3], RGB.
    """

    moment: Moment
    time: float
    pixels: np.ndarray

    @property
    def image(self) -> Image.Image:
        """The frame as a Pillow image."""
        return Image.fromarray(self.pixels)

    def __repr__(self) -> str:
        height, width = self.pixels.shape[:2]
        return f"MomentFrame({clock(self.time)}, {width}×{height})"

    def _repr_html_(self) -> str:
        return film_strip([(self.time, self.pixels)], height=min(360, len(self.pixels)))


@dataclass(frozen=True, repr=False)
class Answer:
    """An answer, the segments that it rests on, and what it took.

    It holds numbers and texts, and no frames. What shows frames decodes them again from the file, which it
    finds by its path and knows by its content, or from the `video` that it is given.

    Attributes:
        finished: whether the model ended its answer itself, before `max_new_tokens`.
        budget: the most memory tokens that it was allowed to read.
        model: the name that the model was loaded by.
        relevance_floor: the relevance below which nothing stands out for this model.
        warnings: what to know before it is relied on, a line each.
        question: what was asked.
    """

    text: str
    token_ids: list[int]
    segments: list[AnswerSegment]
    usage: Usage
    finished: bool
    budget: int
    model: str
    video: VideoInfo
    relevance_floor: float = 0.0
    warnings: tuple[str, ...] = ()
    question: str = ""

    @property
    def display(self) -> str:
        """The text as people are shown it: with clock times in place of seconds, without blanks around it."""
        return with_clock_times(self.text.strip())

    def with_watching(self, timings: Mapping[str, float]) -> Answer:
        """This answer with the seconds of :attr:`Session.timings` counted in: what a first answer costs."""
        summed = dict(self.usage.timings)
        for phase, seconds in timings.items():
            summed[phase] += seconds
            summed["total"] += seconds
        return replace(self, usage=replace(self.usage, timings=summed))

    def called(self, name: str) -> Answer:
        """This answer with NAME for the path of its video, for people who need not know where files are.

        It does not find the file any more: what shows frames needs `video`.
        """
        return replace(self, video=replace(self.video, path=name))

    @property
    def moments(self) -> list[Moment]:
        """The moments that it rests on, the most relevant first; none where nothing stands out."""
        return strongest(self.segments, floor=self.relevance_floor)

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What it took, as rows of a name and a text."""
        video, usage = self.video, self.usage
        phases = " · ".join(
            f"{name} {seconds:.2f}" for name, seconds in usage.timings.items() if name != "total"
        )
        rate = "" if video.frames == 1 else f" at {video.fps:.3g} per second"
        per_frame = usage.visual_tokens / video.frames
        return [
            ("video", f"{video.name} · {clock(video.duration)} · {video.width}×{video.height}"),
            (
                "watched",
                f"{counted(video.frames, 'frame')}{rate} in {counted(len(self.segments), 'segment')}",
            ),
            ("tokens", f"{usage.visual_tokens} of a budget of {self.budget} · {per_frame:.2g} per frame"),
            ("text", f"{usage.prompt_tokens} tokens read · {usage.answer_tokens} written"),
            ("seconds", f"{usage.timings['total']:.2f} = {phases}"),
            ("memory", f"{size(usage.peak_memory_bytes)}, peak of the process"),
            ("model", self.model),
            *(("lost", f"{clock_span(span.start, span.end)} · {span.reason}") for span in video.lost),
            *(("remark", remark) for remark in video.remarks),
        ]

    def frames(self, count: int = COUNT, *, video: Video | None = None) -> list[MomentFrame]:
        """A frame of each of its COUNT strongest moments, in the order of :attr:`moments`, at full size.

        Args:
            video: what was watched, where it has no file or is still open; None: the file is opened again.

        Raises:
            TempoError: the video is gone or has changed, or a frame cannot be decoded.
            UsageError: COUNT is no number of frames.
        """
        if not is_whole(count, least=0):
            raise UsageError(f"count must be a whole number of at least 0, not {shown(count)}")
        moments = strongest(self.segments, count, floor=self.relevance_floor)
        if not moments:
            return []
        video = video or self.video.open()
        return [
            MomentFrame(moment, *frame_at(video, frame_time(moment, self.segments))) for moment in moments
        ]

    def plot(self, count: int = COUNT, *, video: Video | None = None) -> Figure:
        """Draw relevance and tokens over time, with frames of its COUNT strongest moments.

        Args:
            video: as for :meth:`frames`. Frames that cannot be decoded any more are left out.
        """
        return self._draw(count, video, question=self.question, answer=self.display)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values: times in seconds, relevance in (0, 1), memory in bytes."""
        return {
            "question": self.question,
            "answer": self.text,
            "answer_display": self.display,
            "token_ids": self.token_ids,
            "finished": self.finished,
            "model": self.model,
            "video": dataclasses.asdict(self.video),
            "segments": [segment_values(segment) for segment in self.segments],
            "moments": [moment_values(moment, self.segments) for moment in self.moments],
            "budget": self.budget,
            "visual_tokens": self.usage.visual_tokens,
            "prompt_tokens": self.usage.prompt_tokens,
            "answer_tokens": self.usage.answer_tokens,
            "timings": self.usage.timings,
            "peak_memory_bytes": self.usage.peak_memory_bytes,
            "warnings": list(self.warnings),
        }

    def to_text(self) -> str:
        """Return question, answer and moments with their times, as people paste them into a message."""
        moments = [
            f"{clock_span(moment.start, moment.end)}  relevance {moment.relevance:.2f}"
            for moment in (self.moments if self.video.duration else ())
        ]
        blocks = [
            "\n".join(filter(None, [self.question.strip(), self.display or "(no answer)"])),
            "\n".join(moments),
            f"{self.video.name} · {self.model}",
        ]
        return "\n\n".join(filter(None, blocks)) + "\n"

    def to_srt(self) -> str:
        """Return its moments as SubRip subtitles that show the answer.

        Empty where nothing stands out, and for a still image, which lasts no time.
        """
        return to_srt(self.moments, self.display) if self.video.duration else ""

    def to_html(self, *, video: Video | None = None) -> str:
        """Return it as one self-contained HTML page: answer, moments with frames, charts and figures.

        Args:
            video: as for :meth:`plot`.
        """
        return to_page(
            question=self.question,
            answer=self.display if self.finished or not self.display else f"{self.display} … (cut off)",
            segments=self.segments,
            floor=self.relevance_floor,
            video=self.video.name,
            facts=self.facts,
            warnings=self.warnings,
            pictures=self._thumbnails(COUNT, video),
        )

    def save(self, path: str | PathLike[str], *, video: Video | None = None) -> None:
        """Write it in the format that PATH ends in; the file appears once it is whole.

        A report (.html), the drawing of :meth:`plot` (.png, .svg), JSON (.json), text with times (.txt), or
        subtitles (.srt).

        Args:
            video: as for :meth:`plot`.

        Raises:
            UsageError: another ending.
            TempoError: the file cannot be written.
        """
        path = check_output(path, FORMATS)
        ending = path.suffix.lower()
        if ending in PICTURES:
            write_output(path, PICTURES[ending](self.plot(video=video)))
        elif ending == ".html":
            write_output(path, self.to_html(video=video))
        elif ending == ".json":
            write_output(path, json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n")
        else:
            write_output(path, self.to_srt() if ending == ".srt" else self.to_text())

    def to_pandas(self) -> pandas.DataFrame:
        """Return its segments as a table, a row each; `moment` is the rank of the moment it belongs to.

        Raises:
            TempoError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise TempoError("pandas is not installed; run `pip install pandas`") from error
        ranks = [
            (index, rank)
            for rank, moment in enumerate(self.moments, 1)
            for index in range(moment.first, moment.last + 1)
        ]
        table = pandas.DataFrame([dataclasses.asdict(segment) for segment in self.segments])
        table["moment"] = pandas.Series(dict(ranks), dtype="Int64").reindex(table.index)
        return table.set_index("index")

    def _draw(self, count: int, video: Video | None, *, question: str = "", answer: str = "") -> Figure:
        used = f"{self.usage.visual_tokens} of {self.budget} tokens"
        return draw(
            self.segments,
            question=question,
            answer=answer,
            caption=f"{self.video.name} · {self.video.frames} frames · {used} · {self.model}",
            pictures=self._thumbnails(count, video),
            floor=self.relevance_floor,
            count=count,
        )

    def _repr_html_(self) -> str:
        texts = [
            f"<p>{escape(self.question)}</p>" if self.question else "",
            f"<p><strong>{escape(self.display) or '(no answer)'}</strong></p>",
            *(f"<p><em>{escape(warning)}</em></p>" for warning in self.warnings),
        ]
        return "".join(texts) + to_svg(self._draw(COUNT, None))

    def _thumbnails(self, count: int, video: Video | None) -> list[Thumbnail]:
        """Frames of its moments, small; none where the video is gone or has changed."""
        if video is None:
            if not self.moments:
                return []
            try:
                video = self.video.open()
            except TempoError:
                return []
        return thumbnails(video, self.segments, count=count, floor=self.relevance_floor)

    def __repr__(self) -> str:
        return (
            f"Answer({self.display!r}, {counted(len(self.moments), 'moment')}, "
            f"{self.usage.visual_tokens} of {self.budget} tokens, {self.usage.timings['total']:.2f} s)"
        )

    def __str__(self) -> str:
        return self.text


class AnswerStream(Iterator[str]):
    """The pieces of an answer as they are written; `answer` is there once they are all out."""

    def __init__(self, pieces: Iterator[str | Answer]) -> None:
        self._pieces = pieces
        self._answer: Answer | None = None

    def __next__(self) -> str:
        piece = next(self._pieces)
        while isinstance(piece, Answer):
            self._answer = piece
            piece = next(self._pieces)
        return piece

    @property
    def answer(self) -> Answer:
        """The whole answer; what is not written yet is waited for."""
        for _ in self:
            pass
        if self._answer is None:
            raise RuntimeError("the answer was interrupted before its end")
        return self._answer

    def close(self) -> None:
        """Stop writing."""
        self._pieces.close()  # type: ignore[attr-defined]
