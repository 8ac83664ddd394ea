"""Measures what answers about one video cost: the first, the follow-ups, and those of the baselines."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tempo.errors import TempoError
from tempo.inference.cache_policy import CacheKind
from tempo.inference.prefix_cache import DiskCache
from tempo.video.sampling import Sampling
from tempo.video.sampling_options import DecodeWorkers, SamplingMode
from tempo.video.video import Video

from .flops import Flops, count_flops
from .variants import (
    Cost,
    ask,
    decode_every_frame,
    decoding_speed,
    measure_cost,
    no_compression,
    one_pass,
)

if TYPE_CHECKING:
    from tempo.inference.engine import Tempo
    from tempo.inference.session import Session

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
class BenchmarkPlan:
    """What to measure on a video.

    Attributes:
        questions: how many follow-ups to ask about the cached video.
        repeats: how many first answers to measure after the cold one; the median counts.
        budgets: further budgets to try on it, in memory tokens.
        budget: of every other answer; None: the model's own.
        fps, max_frames, sampling, decode_workers, max_new_tokens: as in `tempo ask`.
        cache: where the video is cached.
        baselines: whether to measure the baselines too.
        asked: the questions, asked in turn.
    """

    questions: int = 16
    repeats: int = 3
    budgets: tuple[int, ...] = (1024, 4096, 8192, 12288)
    budget: int | None = None
    fps: float | None = None
    max_frames: int | None = None
    sampling: SamplingMode = "exact"
    decode_workers: DecodeWorkers = "auto"
    max_new_tokens: int = 16
    cache: CacheKind = "host"
    baselines: bool = True
    asked: tuple[str, ...] = QUESTIONS

    def question(self, number: int) -> str:
        """Question `number`; after a round through `asked` the number makes it a new one."""
        words = self.asked[number % len(self.asked)]
        again = number // len(self.asked)
        return f"{words} ({again + 1})" if again else words


@dataclass
class Measurement:
    """What answers about one video cost.

    Attributes:
        video: its metadata, with the number of segments, the model and the budget.
        decoding: decoding every frame of the file, and nothing else.
        cold, warm: a first answer with nothing cached: the first one in this process, and the median of
            `repeated`, which are those after it.
        watching: watching the video into the cache; `kept` is which cache.
        follow_ups: the questions about the cached video, one after the other, the first of them included.
        flops: of one question, by phase.
        decoder_ttft, decode_tokens_per_second: of the decoder on a storyline of that length.
        baselines: what the same answer costs otherwise.
        not_measured: what could not be measured, and why.
        by_budget: a follow-up with each budget.
    """

    video: dict[str, Any]
    decoding: Cost
    cold: Cost
    warm: Cost
    watching: Cost
    kept: str
    follow_ups: list[Cost]
    flops: Flops
    decoder_ttft: float
    decode_tokens_per_second: float
    repeated: list[Cost] = field(default_factory=list)
    baselines: list[Cost] = field(default_factory=list)
    not_measured: dict[str, str] = field(default_factory=dict)
    by_budget: dict[int, Cost] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The values of `tempo bench --json` for this video."""
        return {
            "video": self.video,
            "decoding": self.decoding.to_json(),
            "cold": self.cold.to_json(),
            "warm": self.warm.to_json(),
            "repeated": [cost.to_json() for cost in self.repeated],
            "watching": self.watching.to_json(),
            "kept": self.kept,
            "follow_ups": [cost.to_json() for cost in self.follow_ups],
            "operations": self.flops.to_json(),
            "prefill": self.decoder_ttft,
            "pace": self.decode_tokens_per_second,
            "ways": [cost.to_json() for cost in self.baselines],
            "not_measured": self.not_measured,
            "by_budget": {budget: cost.to_json() for budget, cost in self.by_budget.items()},
        }


def measure(
    engine: Tempo, path: str, plan: BenchmarkPlan, *, say: Callable[[str], None] = lambda what: None
) -> Measurement:
    """Measure one video from end to end.

    Args:
        say: called with what is measured next.

    Raises:
        TempoError: the video cannot be read, or the budget is below one token a segment.
    """
    before = engine.disk
    with tempfile.TemporaryDirectory(prefix="tempo-bench-") as folder:
        engine.disk = DiskCache(folder)  # entries of an earlier command would make watching free
        try:
            return _measure(engine, path, plan, say)
        finally:
            engine.disk = before


def median_cost(costs: Sequence[Cost]) -> Cost:
    """The one whose total is the median; of an even number the slower of the two."""
    return sorted(costs, key=lambda cost: cost.total)[len(costs) // 2]


def _measure(engine: Tempo, path: str, plan: BenchmarkPlan, say: Callable[[str], None]) -> Measurement:
    question = plan.question(0)
    options = {"budget": plan.budget, "max_new_tokens": plan.max_new_tokens}
    budget = engine.config.visual_token_budget if plan.budget is None else plan.budget

    def watch(cache: CacheKind) -> Session:
        return engine.watch(
            Video.open(path),
            cache=cache,
            fps=plan.fps,
            max_frames=plan.max_frames,
            sampling=plan.sampling,
            decode_workers=plan.decode_workers,
            progress=None,
        )

    say("measuring the first answer")
    cold, _ = ask("first, cold", watch("none"), question, **options)
    repeated = [ask("first", watch("none"), question, **options)[0] for _ in range(plan.repeats)]
    video = Video.open(path)
    say("measuring how long decoding every frame takes")
    decoded = decode_every_frame(video, engine)
    say("watching into the cache")
    with measure_cost("watch and keep", engine.device) as watching:
        session = watch(plan.cache)
        watching.seconds.update(session.timings)
    say("measuring follow-up questions")
    asked = [ask("follow-up", session, plan.question(n), **options) for n in range(plan.questions)]
    answer = asked[0][1]
    kept = [segment.tokens for segment in answer.segments]
    decoder_ttft, tokens_per_second = decoding_speed(engine, answer.usage.prompt_tokens)
    found = Measurement(
        video={**asdict(answer.video), "segments": len(kept), "model": engine.name, "budget": budget},
        decoding=decoded,
        cold=cold,
        warm=median_cost(repeated),
        repeated=repeated,
        watching=watching,
        kept=plan.cache,
        follow_ups=[cost for cost, _ in asked],
        flops=count_flops(engine, video, session.sampling, question, kept, answer.usage.prompt_tokens),
        decoder_ttft=decoder_ttft,
        decode_tokens_per_second=tokens_per_second,
    )
    for tokens in plan.budgets:
        say(f"measuring a budget of {tokens} tokens")
        try:
            found.by_budget[tokens] = ask("follow-up", session, question, **{**options, "budget": tokens})[0]
        except TempoError as error:
            found.not_measured[f"budget {tokens}"] = str(error)
    if plan.baselines:
        say("measuring the baselines")
        found.baselines.append(ask("uniform", session, question, **options, adaptive=False)[0])
        sampling = session.sampling
        del session  # the cached video must not take memory from those that keep everything
        _measure_baselines(found, engine, path, sampling, question, budget, plan.max_new_tokens)
    return found


def _measure_baselines(
    found: Measurement,
    engine: Tempo,
    path: str,
    sampling: Sampling,
    question: str,
    budget: int,
    max_new_tokens: int,
) -> None:
    """Measure the baselines that compute everything anew, or note why they cannot be measured."""
    baselines: dict[str, Callable[[], Cost]] = {
        "one pass": lambda: one_pass(
            engine, Video.open(path), sampling, question, budget=budget, max_new_tokens=max_new_tokens
        ),
        "no compression": lambda: no_compression(
            engine, Video.open(path), sampling, question, max_new_tokens=max_new_tokens
        ),
    }
    for name, answer in baselines.items():
        try:
            found.baselines.append(answer())
        except TempoError as error:
            found.not_measured[name] = str(error)
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError) and "memory" not in str(error).lower():
                raise
            found.not_measured[name] = "out of memory"
