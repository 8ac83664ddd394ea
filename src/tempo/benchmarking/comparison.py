"""What was measured, as tables and plots, and which bars are met."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tempo.formatting import clock, size
from tempo.reporting.charts import (
    COLOURS,
    Bar,
    Series,
    bars,
)
from tempo.reporting.plot.drawing import Drawing
from tempo.reporting.tables import Table

from .measure import Measured
from .variants import Cost

NONE = "–"
PHASES = ("decode", "watch", "route", "distil", "answer")
TERA = 1e12
HELD_FROM = 570  # seconds, about ten minutes: shorter films are not held to the bars


@dataclass(frozen=True)
class Limit:
    """A bar that a ratio, or an amount, is held to."""

    what: str
    measured: float
    most: float
    unit: str = "×"

    @property
    def met(self) -> bool:
        return self.measured <= self.most


def limits(one: Measured) -> list[Limit]:
    """The bars of tempo-nano on two cores; those that were not measured are left out."""
    first, follow_ups = one.warm, one.follow_ups[1:]
    found = [Limit("the first answer, of decoding every frame", first.total / one.decoding.total, 1.2)]
    if follow_ups:
        mean = sum(cost.total for cost in follow_ups) / len(follow_ups)
        found.append(Limit("a follow-up, of the first answer", mean / first.total, 0.05))
    if len(one.follow_ups) >= 16:
        sixteen = one.watching.total + sum(cost.total for cost in one.follow_ups[:16])
        found.append(Limit("16 questions, of 16 first answers", sixteen / (16 * first.total), 0.15))
    peak = max(one.cold.peak_bytes, one.warm.peak_bytes)
    found.append(Limit("peak memory with nothing kept", peak / 1e6, 400.0, "MB"))
    for cost in one.ways:
        if cost.way == "one pass":
            found.append(Limit("the first answer, of one pass", first.total / cost.total, 1.0))
            if cost.peak_bytes:
                found.append(Limit("its peak memory, of one pass", peak / cost.peak_bytes, 0.25))
    return found


def tables(measured: Sequence[Measured]) -> list[Table]:
    """Everything that was measured."""
    found = [_limits(measured)]
    for one in measured:
        found += [_ledger(one), _questions(one), _budgets(one), _operations(one)]
    return [table for table in found if table.rows]


def drawings(measured: Sequence[Measured]) -> list[Drawing]:
    """Seconds of each way, and of many questions on one video."""
    names = [_name(one) for one in measured]
    first = [
        Series("first answer", [Bar(one.warm.total) for one in measured], COLOURS[0]),
        Series("every frame decoded", [Bar(one.decoding.total) for one in measured], COLOURS[1]),
        Series("one pass", [Bar(_way(one, "one pass")) for one in measured], COLOURS[2]),
        Series("follow-up", [Bar(_mean_follow_up(one)) for one in measured], COLOURS[3]),
    ]
    counts = [1, 2, 4, 8, 16, 32]
    many = [
        Series(
            name,
            [Bar(_seconds_of(one, count)) for count in counts],
            COLOURS[number % len(COLOURS)],
        )
        for number, (name, one) in enumerate(zip(names, measured, strict=True))
    ]
    shown = [
        bars("Seconds of an answer", names, first, unit="s"),
        bars(
            "Seconds a question, for so many about one video",
            [str(count) for count in counts],
            many,
            unit="s",
        ),
    ]
    return [drawing for drawing in shown if measured and drawing.shapes]


def _limits(measured: Sequence[Measured]) -> Table:
    rows = [
        [
            _name(one),
            limit.what,
            f"{limit.measured:.3g} {limit.unit}",
            f"{limit.most:g}" if held else NONE,
            ("met" if limit.met else "missed") if held else NONE,
        ]
        for one in measured
        for held in [round(one.video["duration"]) >= HELD_FROM]
        for limit in limits(one)
    ]
    notes = [
        "Every ratio is of two measurements in one process. First answers are those with nothing kept. "
        "Bars are for films of about ten minutes and more."
    ]
    return Table("Bars", ["video", "what", "measured", "at most", ""], rows, notes, words=True)


def _ledger(one: Measured) -> Table:
    follow_ups = one.follow_ups[1:] or one.follow_ups
    costs = [one.cold, one.warm, one.watching, one.follow_ups[0], *_middle(follow_ups)]
    names = ["first, cold", "first", f"watch and keep ({one.kept})", "first question on it", "follow-up"]
    rows = [_row(name, cost) for name, cost in zip(names, costs, strict=False)]
    rows += [_row(cost.way, cost) for cost in one.ways]
    rows.append(_row("every frame decoded", one.decoding))
    head = ["", *PHASES, "total s", "first token s", "peak", "tokens", "read"]
    video = one.video
    notes = [
        f"{clock(video['duration'])} of {video['width']}×{video['height']}, {video['frames']} frames at "
        f"{video['fps']:.3g} a second in {video['segments']} segments, budget {video['budget']}, "
        f"{video['model']}. The storyline takes {one.prefill:.3g} s, and {one.pace:.3g} tokens a second "
        "follow. Peak is memory beyond what was in use before. One pass watches, routes and distils in one.",
        *(f"{what}: not measured, {why}." for what, why in one.not_measured.items()),
    ]
    return Table(f"Ledger: {_name(one)}", head, rows, notes)


def _questions(one: Measured) -> Table:
    rows = []
    for count in (1, 2, 4, 8, 16, 32):
        if count > len(one.follow_ups):
            break
        together = _seconds_of(one, count) * count
        share = together / (count * one.warm.total)
        rows.append([str(count), f"{together:.2f}", f"{together / count:.2f}", f"{share:.3f}"])
    head = ["questions", "s in all", "s each", "of as many first answers"]
    return Table(f"Many questions: {_name(one)}", head, rows, ["With watching, once."])


def _budgets(one: Measured) -> Table:
    rows = [
        [str(budget), f"{cost.total:.3f}", str(cost.visual_tokens), str(cost.prompt_tokens)]
        for budget, cost in one.by_budget.items()
    ]
    return Table(f"Budgets: {_name(one)}", ["budget", "s a follow-up", "tokens", "read"], rows)


def _operations(one: Measured) -> Table:
    counted = one.operations
    whole = counted.one_pass
    rows = [
        [name, f"{number / TERA:.4g}", f"{number / whole:.3f}"]
        for name, number in (
            ("watch: vision", counted.vision),
            ("watch: language", counted.language),
            ("route", counted.route),
            ("distil", counted.distil),
            ("follow-up of the compressor", counted.follow_up),
            ("one pass of the compressor", whole),
            ("decoder, the storyline", counted.prefill),
        )
    ]
    head = ["", "T operations", "of one pass"]
    return Table(f"Floating-point operations: {_name(one)}", head, rows)


def _row(name: str, cost: Cost) -> list[str]:
    seconds = [f"{cost.seconds[phase]:.2f}" if cost.seconds.get(phase) else NONE for phase in PHASES]
    peak = size(cost.peak_bytes) + (f" + {size(cost.gpu_peak_bytes)} GPU" if cost.gpu_peak_bytes else "")
    first = f"{cost.first_token:.2f}" if cost.first_token else NONE
    tokens = [str(number) if number else NONE for number in (cost.visual_tokens, cost.prompt_tokens)]
    return [name, *seconds, f"{cost.total:.2f}", first, peak, *tokens]


def _middle(costs: Sequence[Cost]) -> list[Cost]:
    """The follow-up of median length."""
    return [sorted(costs, key=lambda cost: cost.total)[len(costs) // 2]] if costs else []


def _seconds_of(one: Measured, count: int) -> float:
    """Seconds a question, for `count` about a video that is watched once."""
    if count > len(one.follow_ups):
        return math.nan
    return (one.watching.total + sum(cost.total for cost in one.follow_ups[:count])) / count


def _mean_follow_up(one: Measured) -> float:
    later = one.follow_ups[1:]
    return sum(cost.total for cost in later) / len(later) if later else math.nan


def _way(one: Measured, name: str) -> float:
    return next((cost.total for cost in one.ways if cost.way == name), math.nan)


def _name(one: Measured) -> str:
    return f"{clock(one.video['duration'])}, {min(one.video['width'], one.video['height'])}p"
