"""Go through one video: what the first answer, the next ones, and every other way cost."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tempo.errors import TempoError
from tempo.inference.cache_policy import CacheKind
from tempo.inference.prefix_cache import DiskCache
from tempo.video.video import Video

from .flops import Operations, count
from .variants import (
    Cost,
    ask,
    costing,
    decoding,
    no_compression,
    one_pass,
    pace,
)

if TYPE_CHECKING:
    from tempo.inference.engine import Tempo

QUESTIONS = (
    "What happens at the beginning?",
    "What colour is the star?",
    "Which way does the red circle move?",
    "How many things are there together with the blue square?",
    "What comes after the green triangle?",
    "Is there a yellow ring?",
    "When does the white heart appear?",
    "What happens at the end?",
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to measure.

    Attributes:
        questions: how many are asked of a kept video.
        budgets: memory tokens to try on it.
        cache: where the video is kept.
        baselines: whether the other ways are measured too.
        asked: what is asked first, and in turn; None: questions of our own.
    """

    questions: int = 16
    budgets: tuple[int, ...] = (1024, 4096, 8192, 12288)
    budget: int | None = None
    fps: float | None = None
    max_frames: int | None = None
    max_new_tokens: int = 16
    cache: CacheKind = "host"
    baselines: bool = True
    asked: tuple[str, ...] = QUESTIONS

    def question(self, number: int) -> str:
        """The question with a number; after a round they differ in it alone."""
        words = self.asked[number % len(self.asked)]
        again = number // len(self.asked)
        return f"{words} ({again + 1})" if again else words


@dataclass
class Measured:
    """What one video cost.

    Attributes:
        decoding: every frame of the file decoded, and nothing done with it.
        cold, warm: the first answer with nothing kept: the first in this process, and once more.
        watching: seconds to watch and keep, and the memory that took; `kept` is where.
        follow_ups: the questions of a kept video, one after the other, the first of them included.
        ways: the others. not_measured: those that are left out, and why.
        by_budget: a follow-up with each budget.
        prefill, pace: seconds for the storyline, and tokens a second after it.
    """

    video: dict[str, Any]
    decoding: Cost
    cold: Cost
    warm: Cost
    watching: Cost
    kept: str
    follow_ups: list[Cost]
    operations: Operations
    prefill: float
    pace: float
    ways: list[Cost] = field(default_factory=list)
    not_measured: dict[str, str] = field(default_factory=dict)
    by_budget: dict[int, Cost] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    engine: Tempo, path: str, plan: Plan, *, say: Callable[[str], None] = lambda what: None
) -> Measured:
    """Measure one video from end to end.

    Args:
        say: told what is being measured.

    Raises:
        TempoError: the video cannot be read, or the budget is below one token a segment.
    """
    before = engine.disk
    with tempfile.TemporaryDirectory(prefix="tempo-bench-") as folder:
        engine.disk = DiskCache(folder)  # what an earlier command has kept would cost nothing
        try:
            return _measure(engine, path, plan, say)
        finally:
            engine.disk = before


def _measure(engine: Tempo, path: str, plan: Plan, say: Callable[[str], None]) -> Measured:
    question = plan.question(0)
    sampling_options = {"fps": plan.fps, "max_frames": plan.max_frames}
    options = {"budget": plan.budget, "max_new_tokens": plan.max_new_tokens}
    budget = engine.config.visual_token_budget if plan.budget is None else plan.budget

    def first(way: str) -> Cost:
        session = engine.watch(Video.open(path), cache="none", **sampling_options)  # type: ignore[arg-type]
        return ask(way, session, question, **options)[0]

    say("the first answer")
    cold, warm = first("first, cold"), first("first")
    video = Video.open(path)
    say("decoding every frame")
    decoded = decoding(video, engine)
    say("watching to keep")
    with costing("watch and keep", engine.device) as watching:
        session = engine.watch(Video.open(path), cache=plan.cache, **sampling_options)  # type: ignore[arg-type]
        watching.seconds.update(session.timings)
    say("follow-ups")
    asked = [ask("follow-up", session, plan.question(n), **options) for n in range(plan.questions)]
    answer = asked[0][1]
    kept = [segment.tokens for segment in answer.segments]
    to_first, tokens_a_second = pace(engine, answer.usage.prompt_tokens)
    found = Measured(
        video={**asdict(answer.video), "segments": len(kept), "model": engine.name, "budget": budget},
        decoding=decoded,
        cold=cold,
        warm=warm,
        watching=watching,
        kept=plan.cache,
        follow_ups=[cost for cost, _ in asked],
        operations=count(engine, video, session.sampling, question, kept, answer.usage.prompt_tokens),
        prefill=to_first,
        pace=tokens_a_second,
    )
    for tokens in plan.budgets:
        say(f"a budget of {tokens}")
        try:
            found.by_budget[tokens] = ask("follow-up", session, question, **{**options, "budget": tokens})[0]
        except TempoError as error:
            found.not_measured[f"budget {tokens}"] = str(error)
    if plan.baselines:
        say("the other ways")
        found.ways.append(ask("uniform", session, question, **options, adaptive=False)[0])
        sampling = session.sampling
        del session  # what is kept must not be in the way of those that keep everything
        _try(
            found,
            "one pass",
            lambda: one_pass(
                engine,
                Video.open(path),
                sampling,
                question,
                budget=budget,
                max_new_tokens=plan.max_new_tokens,
            ),
        )
        _try(
            found,
            "no compression",
            lambda: no_compression(
                engine, Video.open(path), sampling, question, max_new_tokens=plan.max_new_tokens
            ),
        )
    return found


def _try(found: Measured, way: str, answer: Callable[[], Cost]) -> None:
    """Add a way, or why it cannot be gone."""
    try:
        found.ways.append(answer())
    except TempoError as error:
        found.not_measured[way] = str(error)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "memory" not in str(error).lower():
            raise
        found.not_measured[way] = "out of memory"
