"""A watched video: ask, ask again, or ask in a conversation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Unpack

from tempo.console import ProgressOption, shown_progress
from tempo.errors import UsageError
from tempo.formatting import clock, counted, size
from tempo.markup import fact_table, film_strip
from tempo.video.sampling_options import NO_KEYFRAMES

from .answer_batch import answer_together
from .async_answers import AsyncAnswerStream, run
from .memory_plan import questions_per_watching
from .options import AskOptions, ResolvedOptions
from .pipeline import Step, go_on
from .posed_question import PosedQuestion
from .question import Prompt, read_question
from .results import (
    Answer,
    AnswerSegment,
    AnswerStream,
)
from .timestamps import with_clock_times
from .video_info import VideoInfo
from .watched_segments import WatchedSegments


class Session(WatchedSegments):
    """A video that a model has watched, or watches anew for every question if nothing is kept of it.

    Attributes:
        timings: seconds that watching took, by phase (decode, watch); zeros where nothing is kept.
    """

    @property
    def lost_seconds(self) -> float:
        """How much of the video could not be shown, in seconds."""
        return self.damage.seconds

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before you rely on an answer, a line each: the model does not know such videos, or
        they were not sampled as you asked."""
        unfamiliar = self.engine.unfamiliar(self.video)
        lines = () if unfamiliar is None else (unfamiliar,)
        return (*lines, NO_KEYFRAMES) if self.sampling.at_keyframes == 0 else lines

    def ask(self, question: str, **options: Unpack[AskOptions]) -> Answer:
        """Answer a question about the video. Every question stands alone.

        Raises:
            UsageError: an option that can never work.
            TempoError: an empty question, a question or budget beyond the model's context, a budget below one
                token a segment; and without a kept cache whatever keeps the video from being read.
        """
        return self.stream(question, **options).answer

    def stream(self, question: str, **options: Unpack[AskOptions]) -> AnswerStream:
        """The same, in pieces of text as they are written. `answer` of what is returned is the whole."""
        return self.stream_after((), question, **options)

    def ask_many(
        self, questions: Iterable[str], *, progress: ProgressOption = "auto", **options: Unpack[AskOptions]
    ) -> list[Answer]:
        """Answer several questions, each as `ask` would, in their order.

        Their answers are written side by side, and short videos compressed for several at once. Where nothing
        is cached, the video is watched once for as many as fit into memory. All are checked before anything
        is computed.

        Args:
            progress: as for :meth:`tempo.Tempo.watch`, in questions.

        Raises:
            UsageError, TempoError: as `ask`.
        """
        return self._ask_many(_listed(questions), ResolvedOptions(**options), progress, go_on)

    async def aask(self, question: str, **options: Unpack[AskOptions]) -> Answer:
        """Like `ask`, for event loops: a thread computes, and stops soon after the task is cancelled."""
        return await self.astream(question, **options).answer()

    def astream(self, question: str, **options: Unpack[AskOptions]) -> AsyncAnswerStream:
        """Like `stream`, for ``async for``. What `ask` raises comes with the first piece."""
        chosen = ResolvedOptions(**options)
        return AsyncAnswerStream(self.engine, lambda step: self._stream((), question, chosen, step))

    async def aask_many(self, questions: Iterable[str], **options: Unpack[AskOptions]) -> list[Answer]:
        """Like `ask_many`, for event loops, without a progress bar."""
        listed, chosen = _listed(questions), ResolvedOptions(**options)
        return await run(self.engine, lambda step: self._ask_many(listed, chosen, None, step))

    def route(self, question: str, **options: Unpack[AskOptions]) -> list[AnswerSegment]:
        """How relevant every segment is for a question, and how many tokens it gets. Nothing is answered.

        Raises:
            UsageError, TempoError: as `ask`.
        """
        posed = self.pose((), question, **options)
        posed.compress()
        return posed.segments

    def conversation(self, *, keep_turns: int | None = None) -> Conversation:
        """Like this session, but later questions see the earlier ones and their answers.

        Args:
            keep_turns: how many of the latest turns they see at most; None: all, until the context is full.
        """
        return Conversation(self, keep_turns=keep_turns)

    def stream_after(
        self, earlier: Sequence[tuple[str, str]], question: str, **options: Unpack[AskOptions]
    ) -> AnswerStream:
        """Answer a question that follows (question, answer) pairs of the same conversation."""
        return self._stream(earlier, question, ResolvedOptions(**options), go_on)

    def pose(
        self, earlier: Sequence[tuple[str, str]], question: str, **options: Unpack[AskOptions]
    ) -> PosedQuestion:
        """Check a question; whoever poses it runs the stages to its answer.

        Raises:
            UsageError, TempoError: as `ask`.
        """
        chosen = ResolvedOptions(**options)
        return PosedQuestion(self, self._prompt(earlier, question, chosen), chosen)

    def _stream(
        self, earlier: Sequence[tuple[str, str]], question: str, options: ResolvedOptions, step: Step
    ) -> AnswerStream:
        prompt = self._prompt(earlier, question, options)

        def answer() -> Iterator[str | Answer]:
            posed = PosedQuestion(self, prompt, options)
            posed.compress(step=step)
            yield from posed.write(step=step)

        return AnswerStream(answer())

    def _ask_many(
        self, questions: Sequence[str], options: ResolvedOptions, progress: ProgressOption, step: Step
    ) -> list[Answer]:
        prompts = [self._prompt((), question, options) for question in questions]
        posed = [PosedQuestion(self, prompt, options, shared=len(prompts) > 1) for prompt in prompts]
        answers: dict[PosedQuestion, Answer] = {}
        with shown_progress(progress, "answering", "questions") as move:
            compressed = self._compressed(posed, options, step)
            for question, answer in answer_together(self.engine, compressed, step=step):
                answers[question] = answer
                if move is not None:
                    move(len(answers), len(posed))
        return [answers[question] for question in posed]

    def _compressed(
        self, posed: Sequence[PosedQuestion], options: ResolvedOptions, step: Step
    ) -> Iterator[PosedQuestion]:
        """The questions, compressed as many at a time as fit."""
        done = 0
        while done < len(posed):
            group = posed[done:][: self._questions_at_once(posed)]
            ids, timers = [one.prompt.question_ids for one in group], [one.timer for one in group]
            for one, segments in zip(group, self.compress(ids, options, timers, step), strict=True):
                one.compressed = segments
                yield one
            done += len(group)

    def _questions_at_once(self, posed: Sequence[PosedQuestion]) -> int:
        """As many as fill a batch of cached segments, or as may be held while the video is watched."""
        if self.is_cached:
            longest = max(len(one.prompt.question_ids) for one in posed)
            batch = self.engine.segments_per_batch(self.video, reserve=longest, cached=True)
            return max(1, batch // self._segment_count())
        compressor = self.engine.model.compressor
        return questions_per_watching(
            segments=self._segment_count(),
            memory_tokens=compressor.memory_tokens,
            width=self.engine.config.compressor().text_config.hidden_size,
            device=self.engine.device,
            dtype=self.engine.dtype,
        )

    def _prompt(self, earlier: Sequence[tuple[str, str]], question: str, options: ResolvedOptions) -> Prompt:
        """Raises TempoError where the question is empty or does not fit."""
        segments = self._segment_count()
        return read_question(self.engine, self.video, earlier, question, options, segments=segments)

    @property
    def video_info(self) -> VideoInfo:
        """What is watched, and what of it could not be shown."""
        return VideoInfo.of(self.video, self.sampling, self.damage, fingerprint=self._fingerprint)

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What is watched and what is kept of it, as rows of a name and a text."""
        frames, segments = counted(len(self.sampling), "frame"), counted(self._segment_count(), "segment")
        kept = "nothing; each question watches the video again"
        if self.is_cached:
            kept = size(self.cached_bytes) if self.cached_bytes else "on disk"
        return [
            *self.video.facts,
            ("watched", f"{frames} in {segments}"),
            ("cached", kept),
            ("model", self.engine.name),
            *(("warning", warning) for warning in self.warnings),
        ]

    def __repr__(self) -> str:
        cached = "cached" if self.is_cached else "not cached"
        return (
            f"Session({self.video_info.name!r}, {clock(self.video.duration)}, "
            f"{counted(self._segment_count(), 'segment')}, {cached})"
        )

    def _repr_html_(self) -> str:
        return fact_table(self.facts) + film_strip(self.video.preview())


class Conversation:
    """A session with a memory: each question is read together with the earlier ones and their answers.

    The video is scored and compressed anew for every question, with the earlier questions in mind, so a
    follow-up can ask about what no earlier answer mentions.

    Attributes:
        turns: the (question, answer) pairs that the next question is read with, oldest first.
        keep_turns: how many they are at most, of which the oldest are forgotten first; None: all of them.
    """

    def __init__(self, session: Session, *, keep_turns: int | None = None) -> None:
        """Raises UsageError where `keep_turns` is no number of turns."""
        if keep_turns is not None and (
            isinstance(keep_turns, bool) or not isinstance(keep_turns, int) or keep_turns < 0
        ):
            raise UsageError(f"keep_turns must be a whole number of at least 0, or None, not {keep_turns}")
        self.session = session
        self.keep_turns = keep_turns
        self.turns: list[tuple[str, str]] = []

    def __repr__(self) -> str:
        return f"Conversation({self.session.video_info.name!r}, {counted(len(self.turns), 'turn')})"

    def _repr_html_(self) -> str:
        return fact_table([(question, with_clock_times(answer.strip())) for question, answer in self.turns])

    def clear(self) -> None:
        """Forget all turns; the video stays watched."""
        self.turns.clear()

    def ask(self, question: str, **options: Unpack[AskOptions]) -> Answer:
        """Like `Session.ask`, and remembered.

        Raises:
            UsageError, TempoError: as `Session.ask`, and where the earlier turns fill the model's context.
        """
        return self.stream(question, **options).answer

    def stream(self, question: str, **options: Unpack[AskOptions]) -> AnswerStream:
        """Like `Session.stream`. It is remembered once the answer is whole."""
        return self._stream(question, ResolvedOptions(**options), go_on)

    async def aask(self, question: str, **options: Unpack[AskOptions]) -> Answer:
        """Like `Session.aask`, and remembered. Raises as `ask`."""
        return await self.astream(question, **options).answer()

    def astream(self, question: str, **options: Unpack[AskOptions]) -> AsyncAnswerStream:
        """Like `Session.astream`. It is remembered once the answer is whole."""
        chosen = ResolvedOptions(**options)
        return AsyncAnswerStream(self.session.engine, lambda step: self._stream(question, chosen, step))

    def _stream(self, question: str, options: ResolvedOptions, step: Step) -> AnswerStream:
        stream = self.session._stream(tuple(self.turns), question, options, step)

        def remembered() -> Iterator[str | Answer]:
            yield from stream
            self.turns.append((question, stream.answer.text))
            if self.keep_turns is not None:
                del self.turns[: max(0, len(self.turns) - self.keep_turns)]
            yield stream.answer

        return AnswerStream(remembered())


def _listed(questions: Iterable[str]) -> list[str]:
    """Raises UsageError where one question is given for many, which would be asked letter by letter."""
    if isinstance(questions, str):
        raise UsageError("ask_many takes a list of questions; use ask for one")
    return list(questions)
