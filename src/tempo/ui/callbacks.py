"""What the page does when its visitor does something.

Every action takes the name of the page and what stands in its fields, and yields changes: by the name of a
component its new value, or a dictionary of its properties. Nothing here knows Gradio.
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
from .client import Drawing, Source, Visit
from .clients import Visits
from .examples import Example, Shelf
from .jobs import Stopped
from .turns import Setting, Text, Writing

Change = dict[str, Any]
LONGEST_ANSWER, USUAL_ANSWER = 2048, 256  # tokens


class Actions:
    """What visitors can do.

    Args:
        max_frames: watched of a video at most, whatever a visitor asks for; None: the model's own.
        fps: frames a second where a visitor does not say; None: the model's own.
    """

    def __init__(
        self,
        visits: Visits,
        access: Access,
        shelf: Shelf,
        *,
        max_frames: int | None = None,
        fps: float | None = None,
    ) -> None:
        self.visits = visits
        self.access = access
        self._shelf = shelf
        self.max_frames = max_frames or visits.model.config.max_frames
        self._fps = fps

    # --- opening -------------------------------------------------------------------------------------------

    def open_upload(
        self, page: str, uploaded: str | None, fps: float | None, max_frames: float | None
    ) -> Iterator[Change]:
        """Open what was uploaded."""
        if not uploaded:
            return
        visit = self.visits.arrive(page)

        def find(report: Callable[[Drawing], None]) -> Source:
            path = self.access.uploaded(Path(uploaded))
            return Source(visit.adopt(path), path.name)

        # The field is emptied, so that the same file can be uploaded again.
        yield {"upload": None}
        yield from self._open(visit, find, fps, max_frames)

    def open_path(
        self, page: str, path: str | None, fps: float | None, max_frames: float | None
    ) -> Iterator[Change]:
        """Open a file that the operator allows."""

        def find(report: Callable[[Drawing], None]) -> Source:
            allowed = self.access.allowed(path if isinstance(path, str) else "")
            return Source(allowed, allowed.name)

        yield from self._open(self.visits.arrive(page), find, fps, max_frames)

    def open_example(
        self, page: str, example: Example, fps: float | None, max_frames: float | None
    ) -> Iterator[Change]:
        """Open an example."""
        yield from self._open(
            self.visits.arrive(page), lambda report: self._shelf.get(example, report), fps, max_frames
        )

    def watch_again(self, page: str, fps: float | None, max_frames: float | None) -> Iterator[Change]:
        """Watch what is open once more, with other frames."""
        visit = self.visits.arrive(page)
        film = visit.film
        if film is None:
            yield {"open_status": html_panels.error("no video is open; open one first")}
            return
        source = Source(film.path, film.title, film.questions)
        yield from self._open(visit, lambda report: source, fps, max_frames)

    def _open(
        self,
        visit: Visit,
        find: Callable[[Callable[[Drawing], None]], Source],
        fps: float | None,
        max_frames: float | None,
    ) -> Iterator[Change]:
        try:
            fps, frames = self._frames(fps, max_frames)
            watching = visit.open(find, fps=fps, max_frames=frames, room=self.visits.room_for(visit))
            yield {"open_status": html_panels.note("opening"), "stop_opening": {"visible": True}}
            for event in watching:
                yield {"open_status": html_panels.progress(event)}
        except Stopped:
            if not visit.is_busy:
                yield {"open_status": html_panels.note("Stopped."), "stop_opening": {"visible": False}}
            return
        except Exception as error:
            yield {"open_status": html_panels.error(_words(error)), "stop_opening": {"visible": False}}
            return
        yield self._opened(visit)

    def _frames(self, fps: float | None, max_frames: float | None) -> tuple[float | None, int]:
        """What a visitor asks for, within what the operator allows.

        An empty field is None, or 0 once somebody has touched it; both leave it to the model.
        """
        fps, max_frames = fps or None, max_frames or None
        if fps is not None and not (math.isfinite(fps) and 0 < fps <= 60):
            raise TempoError(f"frames a second must be above 0 and at most 60, not {fps:g}")
        if max_frames is None:
            return fps or self._fps, self.max_frames
        if not (max_frames == int(max_frames) and max_frames >= 1):
            raise TempoError(f"frames at most must be a whole number of at least 1, not {max_frames:g}")
        if max_frames > self.max_frames:
            raise TempoError(f"at most {self.max_frames} frames of a video are watched here")
        return fps or self._fps, int(max_frames)

    def _opened(self, visit: Visit) -> Change:
        film = visit.film
        if film is None:  # let go in the same moment
            return {"open_status": html_panels.error("the video was let go; open it again")}
        setting = Setting(film.usual_budget, True)
        return {
            "open_status": "",
            "stop_opening": {"visible": False},
            "opening": {"open": False},
            "player": html_panels.player(film, visit.key),
            "suggestions": html_panels.suggestions(film),
            "budget": {
                "minimum": film.least_budget,
                "maximum": film.most_budget,
                "value": setting.budget,
                "interactive": film.least_budget < film.most_budget,
            },
            "question": {"interactive": True, "placeholder": "What do you want to know?"},
            "ask": {"interactive": True},
            "ask_status": "",
            **self._shown(visit, setting),
        }

    # --- asking --------------------------------------------------------------------------------------------

    def ask(
        self, page: str, question: str, budget: float | None, way: str, both: bool,
        longest: float | None, temperature: float | None, top_p: float | None,
    ) -> Iterator[Change]:  # fmt: skip
        """Ask, and show the answer while it is written; BOTH: then under the other way too."""
        visit = self.visits.arrive(page)
        question = whole_text(question).strip() if isinstance(question, str) else ""
        duration = _duration(visit)
        text = ""
        try:
            if not question:
                raise TempoError("the question is empty; ask something")
            setting = self._setting(visit, budget, way)
            writing = _writing(longest, temperature, top_p)
            yield {
                "talk": html_panels.conversation(visit.turns, duration=duration, asked=question),
                "question": {"value": "", "interactive": False},
                "ask": {"visible": False},
                "stop": {"visible": True},
                "ask_status": "",
            }
            for event in visit.ask(question, setting, writing):
                if isinstance(event, Text):
                    text = event.text
                    talk = html_panels.conversation(
                        visit.turns, duration=duration, asked=question, written=text
                    )
                    yield {"talk": talk, "ask_status": ""}
                else:
                    yield {"ask_status": html_panels.progress(event)}
        except Stopped:
            if not visit.is_asking:  # who asks something else sees to the buttons itself
                yield self._ready(visit, question, html_panels.note("Stopped: this question was not kept."))
            return
        except Exception as error:
            yield self._ready(visit, question, html_panels.error(_words(error)))
            return
        yield {**self._ready(visit, "", ""), **self._shown(visit, setting)}
        if both:
            yield from self.compare(page, budget, way, both)

    def redraw(self, page: str, budget: float | None, way: str) -> Change:
        """Share the tokens out anew: what the slider and the switch show at once."""
        visit = self.visits.arrive(page)
        try:
            setting = self._setting(visit, budget, way)
        except TempoError:
            return {}
        return {"allocation": html_panels.allocation(visit, setting)}

    def compare(self, page: str, budget: float | None, way: str, both: bool) -> Iterator[Change]:
        """Answer the latest question under what is set now; BOTH: and under the other way."""
        visit = self.visits.arrive(page)
        if not visit.turns:
            return
        turn, duration = visit.turns[-1], _duration(visit)
        try:
            setting = self._setting(visit, budget, way)
            if not (turn.answers.keys() >= ({setting, setting.other} if both else {setting})):
                yield {
                    "allocation": html_panels.allocation(visit, setting),
                    "ways": html_panels.side_by_side(turn, setting, duration=duration),
                }
            written: dict[Setting, str] = {}
            for event in visit.compare(setting, both=both):
                if isinstance(event, Text):
                    written[event.setting] = event.text
                    yield {
                        "ways": html_panels.side_by_side(turn, setting, duration=duration, written=written),
                        "ask_status": "",
                    }
                else:
                    yield {"ask_status": html_panels.progress(event)}
        except Stopped:
            if not visit.is_busy:
                yield {"ask_status": html_panels.note("Stopped."), **self._shown(visit, turn.setting)}
            return
        except Exception as error:
            yield {"ask_status": html_panels.error(_words(error))}
            return
        yield {"ask_status": "", **self._shown(visit, setting)}

    def stop(self, page: str) -> None:
        """End what goes on; whoever shows it says so."""
        self.visits.arrive(page).stop()

    def forget(self, page: str) -> Change:
        """Begin a new conversation about the same video."""
        visit = self.visits.arrive(page)
        visit.forget()
        film = visit.film
        setting = Setting(film.usual_budget if film else 1, True)
        return {"ask_status": "", **self._shown(visit, setting)}

    def _setting(self, visit: Visit, budget: float | None, way: str) -> Setting:
        film = visit.open_film()
        budget = budget or film.usual_budget  # an empty field is None, or 0
        if not math.isfinite(budget):
            raise TempoError("the budget must be a number")
        return Setting(int(min(max(budget, film.least_budget), film.most_budget)), way != "uniform")

    def _ready(self, visit: Visit, question: str, status: str) -> Change:
        """The question's field takes the next one; after a failure the old one stands in it, nothing lost."""
        return {
            "talk": html_panels.conversation(visit.turns, duration=_duration(visit)),
            "question": {"value": question, "interactive": True},
            "ask": {"visible": True, "interactive": True},
            "stop": {"visible": False},
            "ask_status": status,
        }

    def _shown(self, visit: Visit, setting: Setting) -> Change:
        """Everything that depends on the conversation and the setting."""
        duration = _duration(visit)
        turn = visit.turns[-1] if visit.turns else None
        return {
            "talk": html_panels.conversation(visit.turns, duration=duration),
            "allocation": html_panels.allocation(visit, setting),
            "ways": html_panels.side_by_side(turn, setting, duration=duration),
            "figures": html_panels.figures(turn.answer if turn else None, visit.film, visit.key),
        }


def _duration(visit: Visit) -> float:
    return visit.film.session.video.duration if visit.film else 0.0


def _writing(longest: float | None, temperature: float | None, top_p: float | None) -> Writing:
    """How to write. An empty field is None, or 0 once somebody has touched it; both mean what is usual."""
    longest, temperature, top_p = longest or USUAL_ANSWER, temperature or 0.0, top_p or 1.0
    for name, value, least, most in (
        ("the longest answer", longest, 1, LONGEST_ANSWER),
        ("temperature", temperature, 0, 10),
        ("top-p", top_p, 0.01, 1),
    ):
        if not least <= value <= most:
            raise TempoError(f"{name} must be between {least} and {most}, not {value}")
    return Writing(max_new_tokens=int(longest), temperature=float(temperature), top_p=float(top_p))


def _words(error: Exception) -> str:
    """One line for the visitor; of a fault the operator gets to see where it is."""
    if isinstance(error, TempoError):
        return str(error)
    # By name: it exists for every kind of device.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return 'out of memory: watch fewer frames (under "Advanced")'
    if os.environ.get("TEMPO_DEBUG", "") not in ("", "0"):
        traceback.print_exception(error)
    else:
        print(f"tempo: a fault in the page: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    return "something went wrong in tempo itself; whoever runs it finds more in the terminal"
