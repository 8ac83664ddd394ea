"""Answer the items of a benchmark, watching each video once; independent of lmms-eval."""

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

from .item_log import ItemRecord, Key
from .settings import Settings

if TYPE_CHECKING:
    from tempo.inference.engine import Tempo
    from tempo.inference.session import Session


class TooManyErrors(TempoError):
    """More items failed than `max_errors` allows."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """A question of a benchmark.

    Attributes:
        question: the question with its options and its instruction, as both models read it.
        video: path of the video; None if there is an `error`.
        error: why the question cannot be asked.
        about: metadata for the report.
        stop: texts before which the answer is cut off.
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
        """A hash of everything but the model that the answer depends on."""
        what = [self.question, self.video, self.max_new_tokens, self.temperature, self.top_p, self.stop]
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


class Answerer:
    """Answers items; the questions about one video share a session.

    Args:
        load: loads the model; called once, when there is something to answer.
        max_errors: failed items before TooManyErrors is raised; None: never.
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
            # The checkpoint has its own minimum; a benchmark uses the published one.
            self._model.config.min_frames = self.settings.min_frames
        return self._model

    def answer(
        self,
        items: Sequence[Item],
        *,
        known: Mapping[Key, ItemRecord],
        each: Callable[[ItemRecord], None] = lambda record: None,
    ) -> dict[Key, ItemRecord]:
        """Return a record for every item; answers in KNOWN to the same question are reused.

        Args:
            each: called with every new record at once.
        """
        found: dict[Key, ItemRecord] = {}
        open_items: dict[Key, Item] = {}
        for item in items:
            record = known.get(item.key)
            if record is not None and record.error is None and record.asked == item.asked:
                found[item.key] = record
            else:
                open_items[item.key] = item
        if any(item.error is None for item in open_items.values()):
            _ = self.model  # load it here: a failure is not an error of a video
        for group in by_video(open_items.values()):
            for record in self._answer_group(group):
                found[record.key] = record
                each(record)
                self._count(record)
        return found

    def _count(self, record: ItemRecord) -> None:
        self._errors += record.error is not None
        if self._max_errors is not None and self._errors > self._max_errors:
            raise TooManyErrors(
                f"{self._errors} items failed and --max-errors is {self._max_errors}; "
                f"the last error: {record.error}"
            )

    def _answer_group(self, group: Sequence[Item]) -> Iterable[ItemRecord]:
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
            sampling=settings.sampling,
            decode_workers=settings.decode_workers,
            # Caching does not pay for a single question.
            cache=settings.cache if settings.group and questions > 1 else "none",
            progress=None,
        )

    def _ask(self, session: Session, item: Item, watching: Mapping[str, float]) -> ItemRecord:
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
            _base_record(item),
            text=cut_at_stop(answer.text, item.stop),
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
    """Group items by video, in the order of each video's first item."""
    groups: dict[Any, list[Item]] = defaultdict(list)
    for item in items:
        groups[item.video if item.video is not None else item.key].append(item)
    return list(groups.values())


def distribute(groups: Sequence[Sequence[Item]], processes: int) -> list[list[Item]]:
    """Distribute whole groups over processes, with about the same number of items for each."""
    shares: list[list[Item]] = [[] for _ in range(processes)]
    for group in sorted(groups, key=len, reverse=True):
        min(shares, key=len).extend(group)
    return shares


def cut_at_stop(text: str, stop: Sequence[str]) -> str:
    """TEXT up to the first of the STOP texts; leading blank lines do not count as one."""
    text = text.lstrip()
    ends = [text.find(end) for end in stop if end and end in text]
    return text[: min(ends)] if ends else text


def _reason(error: Exception) -> str:
    """An error as the report shows it. A bug with one video does not end a run; lack of memory does."""
    if isinstance(error, TempoError):
        return str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        raise error
    return f"bug in tempo: {type(error).__name__}: {error}"


def _base_record(item: Item) -> ItemRecord:
    return ItemRecord(
        task=item.task,
        item=item.number,
        asked=item.asked,
        question=item.question,
        video=item.video,
        about=item.about,
    )


def _failed(item: Item, why: str) -> ItemRecord:
    return dataclasses.replace(_base_record(item), error=" ".join(why.split()), finished=False)
