"""The actions behind the page's buttons and fields, independent of Gradio.

Every action takes the name of the page and the values of its fields, and yields changes: a dictionary from
the name of a component to its new value or to a dictionary of its properties.
"""

from __future__ import annotations

import math
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tempo.errors import TempoError
from tempo.text_safety import whole_text

from . import html_panels
from .access import Access
from .client import ClientSession, RenderProgress, VideoSource
from .clients import ClientSessions
from .examples import ExampleVideo, ExampleVideos
from .jobs import Stopped
from .turns import GenerationOptions, PartialAnswer, Variant

Change = dict[str, Any]
MAX_ANSWER_TOKENS, DEFAULT_ANSWER_TOKENS = 2048, 256  # tokens


class Actions:
    """What a user of the page can do.

    Args:
        max_frames: most frames watched of a video, whatever the page asks for; None: the model's own.
        fps: frames a second if the page does not say; None: the model's own.
    """

    def __init__(
        self,
        clients: ClientSessions,
        access: Access,
        examples: ExampleVideos,
        *,
        max_frames: int | None = None,
        fps: float | None = None,
    ) -> None:
        self.clients = clients
        self.access = access
        self._examples = examples
        self.max_frames = max_frames or clients.model.config.max_frames
        self._fps = fps

    # --- opening -------------------------------------------------------------------------------------------

    def open_upload(
        self, page: str, uploaded: str | None, fps: float | None, max_frames: float | None
    ) -> Iterator[Change]:
        """Open an uploaded file."""
        if not uploaded:
            return
        client = self.clients.get_or_create(page)

        def find(report: Callable[[RenderProgress], None]) -> VideoSource:
            path = self.access.uploaded(Path(uploaded))
            return VideoSource(client.adopt(path), path.name)

        # The field is cleared, so that the same file can be uploaded again.
        yield {"upload": None}
        yield from self._open(client, find, fps, max_frames)

    def open_path(
        self, page: str, path: str | None, fps: float | None, max_frames: float | None
    ) -> Iterator[Change]:
        """Open a file that the operator allows."""

        def find(report: Callable[[RenderProgress], None]) -> VideoSource:
            allowed = self.access.allowed(path if isinstance(path, str) else "")
            return VideoSource(allowed, allowed.name)

        yield from self._open(self.clients.get_or_create(page), find, fps, max_frames)

    def open_example(
        self, page: str, example: ExampleVideo, fps: float | None, max_frames: float | None
    ) -> Iterator[Change]:
        """Open an example."""
        yield from self._open(
            self.clients.get_or_create(page),
            lambda report: self._examples.get(example, report),
            fps,
            max_frames,
        )

    def watch_again(self, page: str, fps: float | None, max_frames: float | None) -> Iterator[Change]:
        """Watch the open video again with other frames."""
        client = self.clients.get_or_create(page)
        opened = client.open_video
        if opened is None:
            yield {"open_status": html_panels.error("no video is open; open one first")}
            return
        source = VideoSource(opened.path, opened.title, opened.questions)
        yield from self._open(client, lambda report: source, fps, max_frames)

    def _open(
        self,
        client: ClientSession,
        find: Callable[[Callable[[RenderProgress], None]], VideoSource],
        fps: float | None,
        max_frames: float | None,
    ) -> Iterator[Change]:
        try:
            fps, frames = self._frames(fps, max_frames)
            admission = self.clients.admission_for(client)
            watching = client.open(find, fps=fps, max_frames=frames, admission=admission)
            yield {"open_status": html_panels.note("opening"), "stop_opening": {"visible": True}}
            for event in watching:
                yield {"open_status": html_panels.progress(event)}
        except Stopped:
            if not client.is_busy:
                yield {"open_status": html_panels.note("Stopped."), "stop_opening": {"visible": False}}
            return
        except Exception as error:
            yield {"open_status": html_panels.error(_message(error)), "stop_opening": {"visible": False}}
            return
        yield self._opened(client)

    def _frames(self, fps: float | None, max_frames: float | None) -> tuple[float | None, int]:
        """The sampling that the page asks for, within what the operator allows.

        An empty field is None, or 0 once somebody has touched it; both mean the default.
        """
        fps, max_frames = fps or None, max_frames or None
        if fps is not None and not (math.isfinite(fps) and 0 < fps <= 60):
            raise TempoError(f"frames a second must be above 0 and at most 60, not {fps:g}")
        if max_frames is None:
            return fps or self._fps, self.max_frames
        if not (max_frames == int(max_frames) and max_frames >= 1):
            raise TempoError(f"frames at most must be a whole number of at least 1, not {max_frames:g}")
        if max_frames > self.max_frames:
            raise TempoError(f"this server watches at most {self.max_frames} frames of a video")
        return fps or self._fps, int(max_frames)

    def _opened(self, client: ClientSession) -> Change:
        """The page with its new video."""
        opened = client.open_video
        if opened is None:  # evicted in the same moment
            return {"open_status": html_panels.error("the video was closed; open it again")}
        variant = Variant(opened.default_budget, True)
        return {
            "open_status": "",
            "stop_opening": {"visible": False},
            "opening": {"open": False},
            "player": html_panels.player(opened, client.key),
            "suggestions": html_panels.suggestions(opened),
            "budget": {
                "minimum": opened.min_budget,
                "maximum": opened.max_budget,
                "value": variant.budget,
                "interactive": opened.min_budget < opened.max_budget,
            },
            "question": {"interactive": True, "placeholder": "What do you want to know?"},
            "ask": {"interactive": True},
            "ask_status": "",
            **self._shown(client, variant),
        }

    # --- asking --------------------------------------------------------------------------------------------

    def ask(
        self, page: str, question: str, budget: float | None, mode: str, both: bool,
        longest: float | None, temperature: float | None, top_p: float | None,
    ) -> Iterator[Change]:  # fmt: skip
        """Stream the answer to a question; if BOTH, answer it under the other variant afterwards."""
        client = self.clients.get_or_create(page)
        question = whole_text(question).strip() if isinstance(question, str) else ""
        duration = _duration(client)
        text = ""
        try:
            if not question:
                raise TempoError("the question is empty; ask something")
            variant = self._variant(client, budget, mode)
            generation = _generation_options(longest, temperature, top_p)
            yield {
                "talk": html_panels.conversation(client.turns, duration=duration, asked=question),
                "question": {"value": "", "interactive": False},
                "ask": {"visible": False},
                "stop": {"visible": True},
                "ask_status": "",
            }
            for event in client.ask(question, variant, generation):
                if isinstance(event, PartialAnswer):
                    text = event.text
                    talk = html_panels.conversation(
                        client.turns, duration=duration, asked=question, written=text
                    )
                    yield {"talk": talk, "ask_status": ""}
                else:
                    yield {"ask_status": html_panels.progress(event)}
        except Stopped:
            if not client.is_asking:  # another question takes care of the buttons itself
                yield self._ready(client, question, html_panels.note("Stopped: this question was discarded."))
            return
        except Exception as error:
            yield self._ready(client, question, html_panels.error(_message(error)))
            return
        yield {**self._ready(client, "", ""), **self._shown(client, variant)}
        if both:
            yield from self.compare(page, budget, mode, both)

    def redraw(self, page: str, budget: float | None, mode: str) -> Change:
        """Allocate the tokens again while the slider moves."""
        client = self.clients.get_or_create(page)
        try:
            variant = self._variant(client, budget, mode)
        except TempoError:
            return {}
        return {"allocation": html_panels.allocation(client, variant)}

    def compare(self, page: str, budget: float | None, mode: str, both: bool) -> Iterator[Change]:
        """Answer the latest question under the variant that is set now; if BOTH, also under the other."""
        client = self.clients.get_or_create(page)
        if not client.turns:
            return
        turn, duration = client.turns[-1], _duration(client)
        try:
            variant = self._variant(client, budget, mode)
            if not (turn.answers.keys() >= ({variant, variant.other} if both else {variant})):
                yield {
                    "allocation": html_panels.allocation(client, variant),
                    "variants": html_panels.compare_variants(turn, variant, duration=duration),
                }
            written: dict[Variant, str] = {}
            for event in client.compare(variant, both=both):
                if isinstance(event, PartialAnswer):
                    written[event.variant] = event.text
                    yield {
                        "variants": html_panels.compare_variants(
                            turn, variant, duration=duration, written=written
                        ),
                        "ask_status": "",
                    }
                else:
                    yield {"ask_status": html_panels.progress(event)}
        except Stopped:
            if not client.is_busy:
                yield {"ask_status": html_panels.note("Stopped."), **self._shown(client, turn.variant)}
            return
        except Exception as error:
            yield {"ask_status": html_panels.error(_message(error))}
            return
        yield {"ask_status": "", **self._shown(client, variant)}

    def stop(self, page: str) -> None:
        """Stop the running work; the action that runs it updates the page."""
        self.clients.get_or_create(page).stop()

    def forget(self, page: str) -> Change:
        """Begin a new conversation about the same video."""
        client = self.clients.get_or_create(page)
        client.forget()
        opened = client.open_video
        variant = Variant(opened.default_budget if opened else 1, True)
        return {"ask_status": "", **self._shown(client, variant)}

    def _variant(self, client: ClientSession, budget: float | None, mode: str) -> Variant:
        """The variant that the slider and the switch are set to, within the video's limits."""
        opened = client.require_video()
        budget = budget or opened.default_budget  # an empty field is None, or 0
        if not math.isfinite(budget):
            raise TempoError("the budget must be a number")
        return Variant(int(min(max(budget, opened.min_budget), opened.max_budget)), mode != "uniform")

    def _ready(self, client: ClientSession, question: str, status: str) -> Change:
        """The page ready for the next question; QUESTION stays in its field after a failure."""
        return {
            "talk": html_panels.conversation(client.turns, duration=_duration(client)),
            "question": {"value": question, "interactive": True},
            "ask": {"visible": True, "interactive": True},
            "stop": {"visible": False},
            "ask_status": status,
        }

    def _shown(self, client: ClientSession, variant: Variant) -> Change:
        """Every panel that depends on the conversation and the variant."""
        duration = _duration(client)
        turn = client.turns[-1] if client.turns else None
        return {
            "talk": html_panels.conversation(client.turns, duration=duration),
            "allocation": html_panels.allocation(client, variant),
            "variants": html_panels.compare_variants(turn, variant, duration=duration),
            "figures": html_panels.figures(turn.answer if turn else None, client.open_video, client.key),
        }


def _duration(client: ClientSession) -> float:
    return client.open_video.session.video.duration if client.open_video else 0.0


def _generation_options(
    longest: float | None, temperature: float | None, top_p: float | None
) -> GenerationOptions:
    """The fields under "Advanced". An empty one is None, or 0 once touched; both mean the default."""
    longest, temperature, top_p = longest or DEFAULT_ANSWER_TOKENS, temperature or 0.0, top_p or 1.0
    for name, value, least, most in (
        ("the longest answer", longest, 1, MAX_ANSWER_TOKENS),
        ("temperature", temperature, 0, 10),
        ("top-p", top_p, 0.01, 1),
    ):
        if not least <= value <= most:
            raise TempoError(f"{name} must be between {least} and {most}, not {value}")
    return GenerationOptions(max_new_tokens=int(longest), temperature=float(temperature), top_p=float(top_p))


def _message(error: Exception) -> str:
    """One line for the page. The details of a bug go to the operator's terminal only."""
    if isinstance(error, TempoError):
        return str(error)
    # By name: torch need not be imported, and every kind of device has one.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return 'out of memory: watch fewer frames (under "Advanced")'
    if os.environ.get("TEMPO_DEBUG", "") not in ("", "0"):
        traceback.print_exception(error)
    else:
        print(f"tempo: bug in the page: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    return "something went wrong in tempo itself; the server's terminal shows more"
