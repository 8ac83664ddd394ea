"""Items of a benchmark → records. Knows videos and questions, and nothing of lmms-eval."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tempo.errors import TempoError
from tempo.video.video import Video

from .item_log import Key, Record
from .settings import Settings

if TYPE_CHECKING:
    from tempo.inference.engine import Tempo
    from tempo.inference.session import Session


class TooManyErrors(TempoError):
    """More items failed than the user allows."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """A question of a benchmark, as it is to be asked.

    Attributes:
        question: with its options and its closing instruction: what both models read.
        video: the path; None where `error` says why there is none.
        stop: texts before which the answer ends.
    """

    task: str
    number: int
    question: str = ""
    video: str | None = None
    error: str | None = None
    about: dict[str, Any] = field(default_factory=dict)
    max_new_tokens: int = 16
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        return self.task, self.number

    @property
    def asked(self) -> str:
        """Hash of everything that the answer depends on, but for the model."""
        what = [self.question, self.video, self.max_new_tokens, self.temperature, self.top_p, self.stop]
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


class Answerer:
    """Answers items, the questions of one video on one watched session.

    Args:
        load: called once, when there is something to answer.
        max_errors: raise TooManyErrors after more than these; None: never.
    """

    def __init__(
        self, settings: Settings, load: Callable[[], Tempo], *, max_errors: int | None = None
    ) -> None:
        self.settings = settings
        self._load = load
        self._model: Tempo | None = None
        self._max_errors = max_errors
        self._errors = 0

    @property
    def model(self) -> Tempo:
        if self._model is None:
            self._model = self._load()
            # The checkpoint's own minimum is for questions; a benchmark's is the published one.
            self._model.config.min_frames = self.settings.min_frames
        return self._model

    def answer(
        self,
        items: Sequence[Item],
        *,
        known: Mapping[Key, Record],
        each: Callable[[Record], None] = lambda record: None,
    ) -> dict[Key, Record]:
        """A record for every item; those in `known` that were asked the same are not asked again.

        Args:
            each: called with every new record, when it is there.
        """
        found: dict[Key, Record] = {}
        open_items: dict[Key, Item] = {}
        for item in items:
            record = known.get(item.key)
            if record is not None and record.error is None and record.asked == item.asked:
                found[item.key] = record
            else:
                open_items[item.key] = item
        if any(item.error is None for item in open_items.values()):
            _ = self.model  # that it cannot be loaded is no error of a video
        for group in by_video(open_items.values()):
            for record in self._answer_group(group):
                found[record.key] = record
                each(record)
                self._count(record)
        return found

    def _count(self, record: Record) -> None:
        self._errors += record.error is not None
        if self._max_errors is not None and self._errors > self._max_errors:
            raise TooManyErrors(
                f"{self._errors} items could not be answered and --max-errors is {self._max_errors}; "
                f"the last one: {record.error}"
            )

    def _answer_group(self, group: Sequence[Item]) -> Iterable[Record]:
        """The records of items that share a video."""
        first = group[0]
        if first.video is None or first.error is not None:
            yield from (_failed(item, item.error or "the item has no video") for item in group)
            return
        try:
            session = self._watch(first.video, questions=len(group))
        except Exception as error:
            yield from (_failed(item, _reason(error)) for item in group)
            return
        watching = dict(session.timings)
        for item in group:
            try:
                yield self._ask(session, item, watching)
                watching = {}
            except Exception as error:
                yield _failed(item, _reason(error))

    def _watch(self, path: str, *, questions: int) -> Session:
        settings = self.settings
        video = Video.open(path)
        return self.model.watch(
            video,
            fps=settings.fps,
            max_frames=settings.max_frames,
            # A session for one question would be kept for nothing.
            cache=settings.cache if settings.group and questions > 1 else "none",
        )

    def _ask(self, session: Session, item: Item, watching: Mapping[str, float]) -> Record:
        settings = self.settings
        answer = session.ask(
            item.question,
            budget=settings.budget,
            adaptive=settings.adaptive,
            keep=settings.keep,
            max_new_tokens=item.max_new_tokens,
            temperature=item.temperature,
            top_p=item.top_p,
        )
        return dataclasses.replace(
            _blank(item),
            text=until(answer.text, item.stop),
            finished=answer.finished,
            duration=answer.video.duration,
            frames=answer.video.frames,
            segments=len(answer.segments),
            visual_tokens=answer.usage.visual_tokens,
            budget=answer.budget,
            prompt_tokens=answer.usage.prompt_tokens,
            answer_tokens=answer.usage.answer_tokens,
            lost_seconds=answer.video.lost_seconds,
            seconds=answer.with_watching(watching).usage.timings,
        )


def by_video(items: Iterable[Item]) -> list[list[Item]]:
    """Items grouped by their video, in the order in which the videos first come up."""
    groups: dict[Any, list[Item]] = defaultdict(list)
    for item in items:
        groups[item.video if item.video is not None else item.key].append(item)
    return list(groups.values())


def deal(groups: Sequence[Sequence[Item]], hands: int) -> list[list[Item]]:
    """Whole groups for `hands` processes, about the same number of items each."""
    dealt: list[list[Item]] = [[] for _ in range(hands)]
    for group in sorted(groups, key=len, reverse=True):
        min(dealt, key=len).extend(group)
    return dealt


def until(text: str, stop: Sequence[str]) -> str:
    """`text` up to the first of the `stop` texts. Blank lines before the answer do not end it."""
    text = text.lstrip()
    ends = [text.find(end) for end in stop if end and end in text]
    return text[: min(ends)] if ends else text


def _reason(error: Exception) -> str:
    """What the report says of it. A fault with one video must not end a run of days; want of memory does."""
    if isinstance(error, TempoError):
        return str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        raise error
    return f"a fault in tempo itself: {type(error).__name__}: {error}"


def _blank(item: Item) -> Record:
    return Record(
        task=item.task,
        item=item.number,
        asked=item.asked,
        question=item.question,
        video=item.video,
        about=item.about,
    )


def _failed(item: Item, why: str) -> Record:
    return dataclasses.replace(_blank(item), error=" ".join(why.split()), finished=False)
