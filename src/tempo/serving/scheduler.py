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

_CLOSED = "the scheduler was closed"


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
    """Runs posed questions, from any number of threads, to their answers: in threads of its own, one for each
    lane of `turn`.

    Each answer is the one that its question would get alone.
    """

    def __init__(self, model: Tempo, turn: ComputeTurn) -> None:
        self.model, self.turn = model, turn
        self._queue = _Queue()
        self._lanes = [_Lane(model, turn, self._queue) for _ in range(turn.lanes)]
        for lane in self._lanes:
            threading.Thread(target=lane.run, name="tempo-scheduler", daemon=True).start()

    @property
    def waiting(self) -> int:
        """Questions that are not compressed yet."""
        return len(self._queue)

    @property
    def writing(self) -> int:
        """Answers that are being written."""
        return sum(len(lane.writing) for lane in self._lanes)

    def close(self) -> None:
        """End the threads; what is unfinished fails."""
        self._queue.close()

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
            yield from self._written(task)
        except DamagedEntryError:
            self._watch(task)
            yield from self._written(replace(task, results=queue.SimpleQueue()))

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

    def _written(self, task: _Task) -> Generator[WrittenToken]:
        self._queue.add(task)
        try:
            while (result := task.results.get()) is not None:
                if isinstance(result, BaseException):
                    raise result
                yield result
        finally:
            task.given_up = True


class _Queue:
    """Tasks that wait for a lane."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._tasks: deque[_Task] = deque()
        self.closing = False
        self._idle = 0  # lanes that wait for tasks

    def __len__(self) -> int:
        return len(self._tasks)

    def add(self, task: _Task) -> None:
        """Raises RuntimeError: it was closed."""
        with self._change:
            if self.closing:
                raise RuntimeError(_CLOSED)
            self._tasks.append(task)
            self._change.notify()

    def close(self) -> None:
        """Fail what waits, and whatever comes."""
        with self._change:
            self.closing = True
            self._change.notify_all()
            for task in self._tasks:
                task.results.put(RuntimeError(_CLOSED))
            self._tasks.clear()

    def wait(self) -> bool:
        """Wait for tasks; False: it was closed."""
        with self._change:
            self._idle += 1
            self._change.wait_for(lambda: self._tasks or self.closing)
            self._idle -= 1
            return not self.closing

    def take(self, model: Tempo, *, busy: bool) -> list[_Task]:
        """The oldest tasks, as many as fill some batches of segments; some are left to lanes with nothing to
        do.

        Args:
            busy: whether the lane that takes them has other work.
        """
        taken: list[_Task] = []
        segments, enough = 0, 0
        with self._change:
            lanes = 1 + self._idle
            share = len(self._tasks) // lanes if busy else -(-len(self._tasks) // lanes)
            while self._tasks and len(taken) < share:
                task = self._tasks[0]
                if taken and segments + task.segments > enough:
                    break
                self._tasks.popleft()
                if task.unwanted:
                    task.results.put(None)
                    continue
                taken.append(task)
                segments += task.segments
                enough = enough or _BATCHES * model.segments_per_batch(
                    task.posed.session.video, reserve=len(task.posed.prompt.question_ids), cached=True
                )
        return taken


class _Lane:
    """Answers some of the questions.

    An iteration compresses some that wait, as many as a few batches of segments hold, or writes one token of
    every answer; where both wait they alternate. So a question joins at any time, leaves when it is done, and
    none waits for another's end.
    """

    def __init__(self, model: Tempo, turn: ComputeTurn, queue: _Queue) -> None:
        self.model, self.turn, self.queue = model, turn, queue
        self.writing: list[_Task] = []
        self._starting: list[_Task] = []
        self._batch = DecodeBatch(model.model)

    def run(self) -> None:
        """Answer until the queue is closed."""
        while self.queue.wait():
            with self.turn.take():
                try:
                    self._work()
                except Exception as error:  # whoever waits has to hear of it
                    self._fail(error)
        self._fail(RuntimeError(_CLOSED))

    def _work(self) -> None:
        while (self.queue or self.writing) and not self.queue.closing:
            self._starting = self.queue.take(self.model, busy=bool(self.writing))
            self._start(self._starting)
            self._starting = []
            self._go_on()

    def _go_on(self) -> None:
        """Write a token of every answer, and let others have their turn."""
        if self.writing:
            self._step()
        self.turn.give_way()

    def _fail(self, error: Exception) -> None:
        failed = [*self._starting, *self.writing]
        self._starting, self.writing = [], []
        self._batch = DecodeBatch(self.model.model)
        for task in failed:
            task.results.put(error)

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
                self.writing.append(task)
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
        for task in [task for task in self.writing if task.unwanted]:
            task.results.put(None)
            self.writing.remove(task)
            if task.row is not None:
                self._batch.remove(task.row)
        with phase_of_all([task.posed.timer for task in self.writing], "answer"):
            part = self._batch.step()
        for task in self.writing:
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
        self.writing = [task for task in self.writing if task.row is not None and not task.row.done]
