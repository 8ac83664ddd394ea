"""The thread that answers: questions about cached videos are compressed together, and all answers are written
side by side, a token of each at a time."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace

from tempo.inference.cache_entry import DamagedEntryError
from tempo.inference.compute_turn import ComputeTurn
from tempo.inference.engine import Tempo
from tempo.inference.generation import Constraint, DecodeBatch, DecodeRow, TokenLogprobs
from tempo.inference.phase_timer import phase_of_all
from tempo.inference.posed_question import PosedQuestion
from tempo.inference.question_batch import compress_together

from .api_errors import watching_error
from .watched_videos import Abandoned

# Questions are compressed at once that fill so many batches of segments. The more there are, the more of them
# go through the decoder side by side, and the longer the next one waits.
_BATCHES = 4


@dataclass(frozen=True)
class WrittenToken:
    """A token of an answer, with the probabilities at its step where they were asked for."""

    id: int
    logprobs: TokenLogprobs | None


@dataclass(eq=False)
class _Task:
    """A question that is to be compressed (unless it is), and answered if `write`.

    Its results are tokens; None at the end; or an error, and nothing after it.
    """

    posed: PosedQuestion
    write: bool
    gone: Callable[[], bool]
    constraint: Constraint | None = None
    top_logprobs: int | None = None
    results: queue.SimpleQueue[WrittenToken | BaseException | None] = field(default_factory=queue.SimpleQueue)
    given_up: bool = False
    row: DecodeRow | None = None

    @property
    def unwanted(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.given_up or self.gone()

    def check(self) -> None:
        """Raises Abandoned where nobody waits for it any more."""
        if self.unwanted:
            raise Abandoned

    @property
    def segments(self) -> int:
        """How many segments it goes through the compressor with."""
        entries = self.posed.session.entries
        return sum(len(entry.segments) for entry in entries or ())


class QuestionScheduler:
    """Runs posed questions, from any number of threads, to their answers in a thread of its own.

    An iteration compresses some of the questions that wait, as many as a batch of segments holds, or writes
    one token of every answer; where both wait they alternate. So a question joins at any time, leaves when it
    is done, and none waits for another's end. Each answer is the one it would get alone.
    """

    def __init__(self, model: Tempo, turn: ComputeTurn) -> None:
        self.model, self.turn = model, turn
        self._change = threading.Condition()
        self._waiting: deque[_Task] = deque()
        self._starting: list[_Task] = []
        self._writing: list[_Task] = []
        self._batch = DecodeBatch(model.model)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="tempo-scheduler", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Questions that are not compressed yet."""
        return len(self._waiting)

    @property
    def writing(self) -> int:
        """Answers that are being written."""
        return len(self._writing)

    def close(self) -> None:
        """End the thread; what is unfinished fails."""
        with self._change:
            self._closing = True
            self._change.notify()

    def compress(self, posed: PosedQuestion, *, gone: Callable[[], bool] = lambda: False) -> None:
        """Score and compress a question, with others that wait.

        Args:
            gone: whether nobody waits for it any more; then it may be left out.

        Raises:
            TempoError: as :meth:`PosedQuestion.compress`.
        """
        for _ in self._results(_Task(posed, write=False, gone=gone)):
            pass

    def tokens(
        self,
        posed: PosedQuestion,
        *,
        constraint: Constraint | None = None,
        top_logprobs: int | None = None,
        gone: Callable[[], bool] = lambda: False,
    ) -> Generator[WrittenToken]:
        """Answer a question: its tokens as they are written. Closing the generator gives it up.

        Args:
            constraint, top_logprobs: see :class:`tempo.inference.generation.DecodeOptions`.
            gone: whether nobody waits for it any more; then the tokens end.

        Raises:
            TempoError: as :meth:`PosedQuestion.compress` and :meth:`PosedQuestion.decoder_inputs`.
            NonFiniteError: the model computes NaN or infinity.
        """
        return self._results(_Task(posed, True, gone, constraint, top_logprobs))

    def _results(self, task: _Task) -> Generator[WrittenToken]:
        if task.posed.cached() is None:
            self._watch(task)
        try:
            yield from self._run_in_thread(task)
        except DamagedEntryError:
            self._watch(task)
            yield from self._run_in_thread(replace(task, results=queue.SimpleQueue()))

    def _watch(self, task: _Task) -> None:
        """Watch its video for a question. The batches of segments wait for their turns one by one.

        Raises:
            Abandoned: nobody waits for it any more.
            ApiError: the video cannot be read any more.
        """
        try:
            task.posed.compress(step=task.check, turn=self.turn.take_to_watch)
        except Exception as error:
            raise watching_error(error) from error

    def _run_in_thread(self, task: _Task) -> Generator[WrittenToken]:
        self._submit(task)
        try:
            while (result := task.results.get()) is not None:
                if isinstance(result, BaseException):
                    raise result
                yield result
        finally:
            task.given_up = True

    def _submit(self, task: _Task) -> None:
        with self._change:
            if self._closing:
                raise RuntimeError("the scheduler was closed")
            self._waiting.append(task)
            self._change.notify()

    def _run(self) -> None:
        while self._wait():
            with self.turn.take():
                try:
                    self._work()
                except Exception as error:  # whoever waits has to hear of it
                    self._fail(error)
        self._fail(RuntimeError("the scheduler was closed"))

    def _work(self) -> None:
        while (self._waiting or self._writing) and not self._closing:
            if self._waiting:
                self._take()
                self._start(self._starting)
                self._starting = []
            self._go_on()

    def _go_on(self) -> None:
        """Write a token of every answer, and let watching have its turn."""
        if self._writing:
            self._step()
        self.turn.give_way()

    def _fail(self, error: Exception) -> None:
        with self._change:
            failed = [*self._waiting, *self._starting, *self._writing]
            self._waiting.clear()
        self._starting, self._writing = [], []
        self._batch = DecodeBatch(self.model.model)
        for task in failed:
            task.results.put(error)

    def _wait(self) -> bool:
        """Wait for work; False: the scheduler was closed."""
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._closing)
            return not self._closing

    def _take(self) -> None:
        """Begin with tasks that wait, the oldest first, as many as fill some batches of segments."""
        segments, enough = 0, 0
        with self._change:
            while self._waiting:
                task = self._waiting[0]
                if self._starting and segments + task.segments > enough:
                    break
                self._waiting.popleft()
                if task.unwanted:
                    task.results.put(None)
                    continue
                self._starting.append(task)
                segments += task.segments
                enough = enough or _BATCHES * self.model.segments_per_batch(
                    task.posed.session.video, reserve=len(task.posed.prompt.question_ids), cached=True
                )

    def _start(self, tasks: Sequence[_Task]) -> None:
        """Compress some questions, and begin their answers."""
        failed = self._compress([task for task in tasks if not task.posed.compressed])
        for task in tasks:
            try:
                if task in failed:
                    raise failed[task]
                if not task.write:
                    task.results.put(None)
                    continue
                options = task.posed.decode_options(
                    constraint=task.constraint, top_logprobs=task.top_logprobs
                )
                task.row = self._batch.add(task.posed.decoder_inputs(), options)
                self._writing.append(task)
            except Exception as error:
                task.results.put(error)

    def _compress(self, tasks: Sequence[_Task]) -> dict[_Task, Exception]:
        """Compress some questions together; where that fails each alone. Returns the errors."""
        questions = [(task, cached) for task in tasks if (cached := task.posed.cached()) is not None]
        if len(questions) < len(tasks):  # damage was found in the meantime
            kept = {task for task, _ in questions}
            return {
                **{task: DamagedEntryError("watch it again") for task in tasks if task not in kept},
                **self._compress(list(kept)),
            }
        if not questions:
            return {}

        def between() -> None:  # a long video must not keep others from their next token
            if all(task.unwanted for task in tasks):
                raise Abandoned
            self._go_on()

        try:
            compressed = compress_together(self.model, [cached for _, cached in questions], step=between)
        except Exception as error:
            if len(tasks) == 1:
                return {tasks[0]: error}
            return {task: error for one in tasks for task, error in self._compress([one]).items()}
        for (task, _), segments in zip(questions, compressed, strict=True):
            task.posed.compressed = segments
        return {}

    def _step(self) -> None:
        """Write a token of every answer that somebody still waits for."""
        for task in [task for task in self._writing if task.unwanted]:
            task.results.put(None)
            self._writing.remove(task)
            if task.row is not None:
                self._batch.remove(task.row)
        with phase_of_all([task.posed.timer for task in self._writing], "answer"):
            part = self._batch.step()
        for task in self._writing:
            row = task.row
            if row is None or row not in part:  # it joins later
                continue
            if row.error is not None:
                task.results.put(row.error)
                continue
            logprobs = row.logprobs[-1] if row.logprobs else None
            task.results.put(WrittenToken(row.ids[-1], logprobs))
            if row.done:
                task.results.put(None)
        self._writing = [task for task in self._writing if task.row is not None and not task.row.done]
