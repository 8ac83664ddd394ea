"""Who watches videos and answers: this process with a model of its own, or a `tempo serve` elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, Protocol

from tempo.console import Progress
from tempo.inference.model_info import ModelInfo
from tempo.inference.results import Answer
from tempo.inference.session import Session
from tempo.serving.client import ServerClient, answer_of
from tempo.serving.service import Service
from tempo.serving.watched_videos import Abandoned, Part
from tempo.serving.written_text import WrittenText
from tempo.video.sampling_options import SamplingMode

from .open_video import OpenVideo, Watched
from .turns import Turn, Variant

Say = Callable[[str], None]
"""Called with the text of an answer so far."""


class AnswerableVideo(Protocol):
    """A video, or a part of it, that was watched."""

    @property
    def facts(self) -> Watched:
        """What is known of it now."""

    def answer(self, turn: Turn, variant: Variant, say: Say, gone: threading.Event) -> Answer:
        """Write the answer of a turn under one variant.

        Raises:
            Abandoned: nobody waits for it any more.
            TempoError: it cannot be answered.
        """


class Answering(Protocol):
    """Watches and answers."""

    info: ModelInfo

    @property
    def ahead(self) -> int:
        """How many others have to be answered first."""

    def watched(
        self, opened: OpenVideo, part: Part, *, progress: Progress, gone: threading.Event
    ) -> AbstractContextManager[AnswerableVideo]:
        """An open video or a part of it, watched if need be.

        Args:
            progress: called with (frames watched, frames to watch) while it is waited for.
            gone: set when nobody waits for it any more.

        Raises:
            Abandoned: nobody waits for it any more.
            TempoError: it cannot be watched.
        """


class LocalAnswering:
    """Answers with the model of this process."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.info = service.model.info

    @property
    def ahead(self) -> int:
        return self.service.turn.waiting + self.service.scheduler.waiting

    @contextmanager
    def watched(
        self, opened: OpenVideo, part: Part, *, progress: Progress, gone: threading.Event
    ) -> Iterator[_LocalVideo]:
        """See :meth:`Answering.watched`; the session is shared by all who have the same video open."""
        lease = self.service.watched.lease(
            opened.video,
            fps=opened.fps,
            max_frames=opened.max_frames,
            part=part,
            left=gone,
            progress=progress,
        )
        with lease as (session, _):
            yield _LocalVideo(self.service, session)


class _LocalVideo:
    def __init__(self, service: Service, session: Session) -> None:
        self._service, self._session = service, session

    @property
    def facts(self) -> Watched:
        return Watched.of(self._session)

    def answer(self, turn: Turn, variant: Variant, say: Say, gone: threading.Event) -> Answer:
        """See :meth:`AnswerableVideo.answer`."""
        model = self._service.model
        posed = self._session.pose(
            turn.earlier,
            turn.question,
            budget=variant.budget,
            adaptive=variant.adaptive,
            **turn.generation,
        )
        writing = WrittenText(model.prompts.decoder, stops=[], stop_ids=model.stop_ids)
        tokens = self._service.scheduler.tokens(posed, gone=gone.is_set)
        for _ in writing.pieces(tokens):
            say(writing.text)
        if gone.is_set():
            raise Abandoned
        return posed.answer(writing.ids, writing.text)


class RemoteAnswering:
    """Lets a server answer. It gets each file once, and keeps what it watched for everybody."""

    ahead = 0  # that is the server's business

    def __init__(self, client: ServerClient, *, sampling: SamplingMode | None = None) -> None:
        """Raises TempoError: the server cannot be reached, refuses, or is no `tempo serve`."""
        self.client, self.sampling = client, sampling
        self.info = client.model_info()

    @contextmanager
    def watched(
        self, opened: OpenVideo, part: Part, *, progress: Progress, gone: threading.Event
    ) -> Iterator[_RemoteVideo]:
        """See :meth:`Answering.watched`. The server watches when it is first asked for something."""
        video = _RemoteVideo(self.client, opened, part, progress, gone)
        if self.sampling is not None:
            video.own["sampling"] = self.sampling
        yield video


class _RemoteVideo:
    def __init__(
        self, client: ServerClient, opened: OpenVideo, part: Part, progress: Progress, gone: threading.Event
    ) -> None:
        self._client, self._opened, self._progress, self._gone = client, opened, progress, gone
        start, end = part
        self.own: dict[str, Any] = {
            "fps": opened.fps,
            "max_frames": opened.max_frames,
            "start": start,
            "end": end,
            "segments": True,
            "progress": True,
        }

    @property
    def facts(self) -> Watched:
        """From the shortest answer that there is."""
        answer = self._ask("What is there?", lambda text: None, self._gone, max_completion_tokens=1)
        return Watched.of_answer(answer)

    def answer(self, turn: Turn, variant: Variant, say: Say, gone: threading.Event) -> Answer:
        """See :meth:`AnswerableVideo.answer`."""
        options: dict[str, Any] = dict(turn.generation)
        if (most := options.pop("max_new_tokens", None)) is not None:
            options["max_completion_tokens"] = most
        answer = self._ask(turn.question, say, gone, earlier=turn.earlier, variant=variant, **options)
        return replace(answer, question=turn.question)

    def _ask(
        self,
        question: str,
        say: Say,
        gone: threading.Event,
        *,
        variant: Variant | None = None,
        **options: Any,
    ) -> Answer:
        own = dict(self.own)
        if variant is not None:
            own |= {"budget": variant.budget, "adaptive": variant.adaptive}
        file = self._client.upload(self._opened.source.path)
        text, last = "", None
        for chunk in self._client.stream(file, question, gone=gone, tempo=own, **options):
            if chunk["object"] == "tempo.progress":
                self._progress(chunk["frames"], chunk["of"])
            elif chunk["choices"]:
                text += chunk["choices"][0]["delta"].get("content", "")
                say(text)
            else:
                last = chunk
        if gone.is_set():
            raise Abandoned
        return answer_of(last or {}, path=self._opened.source.title)
