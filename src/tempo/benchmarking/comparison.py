"""Tables and figures of what was measured, and which targets are met."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tempo.formatting import clock, size
from tempo.reporting.charts import (
    COLOURS,
    BarValue,
    Series,
    bar_chart,
)
from tempo.reporting.plot.figure import Figure
from tempo.reporting.tables import Table

from .measure import Measurement, median_cost
from .variants import Cost

NONE = "–"
PHASES = ("decode", "watch", "route", "distil", "answer")
TERA = 1e12
TARGETS_FROM = 570  # seconds, about ten minutes: shorter videos are not held to the targets


@dataclass(frozen=True)
class Target:
    """An upper limit for a measured ratio or amount.

    Attributes:
        what: is measured, of what if it is a ratio.
        most: the limit, in `unit`.
    """

    what: str
    measured: float
    most: float
    unit: str = "×"

    @property
    def met(self) -> bool:
        """Whether the measured value is within the limit."""
        return self.measured <= self.most


def targets(one: Measurement) -> list[Target]:
    """The targets of tempo-nano on two cores; what was not measured is left out."""
    first, follow_ups = one.warm, one.follow_ups[1:]
    found = [Target("the first answer, of decoding every frame", first.total / one.decoding.total, 1.2)]
    if follow_ups:
        mean = sum(cost.total for cost in follow_ups) / len(follow_ups)
        found.append(Target("a follow-up, of the first answer", mean / first.total, 0.05))
    if len(one.follow_ups) >= 16:
        sixteen = one.watching.total + sum(cost.total for cost in one.follow_ups[:16])
        found.append(Target("16 questions, of 16 first answers", sixteen / (16 * first.total), 0.15))
    peak = max(one.cold.peak_bytes, one.warm.peak_bytes)
    found.append(Target("peak memory with nothing kept", peak / 1e6, 400.0, "MB"))
    for cost in one.baselines:
        if cost.variant == "one pass":
            found.append(Target("the first answer, of one pass", first.total / cost.total, 1.0))
            if cost.peak_bytes:
                found.append(Target("its peak memory, of one pass", peak / cost.peak_bytes, 0.25))
    return found


def tables(measured: Sequence[Measurement]) -> list[Table]:
    """All tables of a report."""
    found = [_targets(measured)]
    for one in measured:
        found += [_costs(one), _questions(one), _budgets(one), _flops(one)]
    return [table for table in found if table.rows]


def figures(measured: Sequence[Measurement]) -> list[Figure]:
    """Bar charts: seconds of each variant, and seconds a question for many about one video."""
    names = [_name(one) for one in measured]
    first = [
        Series("first answer", [BarValue(one.warm.total) for one in measured], COLOURS[0]),
        Series("every frame decoded", [BarValue(one.decoding.total) for one in measured], COLOURS[1]),
        Series("one pass", [BarValue(_baseline(one, "one pass")) for one in measured], COLOURS[2]),
        Series("follow-up", [BarValue(_mean_follow_up(one)) for one in measured], COLOURS[3]),
    ]
    counts = [1, 2, 4, 8, 16, 32]
    many = [
        Series(
            name,
            [BarValue(_seconds_of(one, count)) for count in counts],
            COLOURS[number % len(COLOURS)],
        )
        for number, (name, one) in enumerate(zip(names, measured, strict=True))
    ]
    shown = [
        bar_chart("Seconds of an answer", names, first, unit="s"),
        bar_chart(
            "Seconds a question, for so many about one video",
            [str(count) for count in counts],
            many,
            unit="s",
        ),
    ]
    return [figure for figure in shown if measured and figure.shapes]


def _targets(measured: Sequence[Measurement]) -> Table:
    rows = [
        [
            _name(one),
            target.what,
            f"{target.measured:.3g} {target.unit}",
            f"{target.most:g}" if held else NONE,
            ("met" if target.met else "missed") if held else NONE,
        ]
        for one in measured
        for held in [round(one.video["duration"]) >= TARGETS_FROM]
        for target in targets(one)
    ]
    notes = [
        "Every ratio is of two measurements in one process. First answers are those with nothing cached. "
        "Targets are for videos of about ten minutes and more."
    ]
    return Table("Targets", ["video", "what", "measured", "at most", ""], rows, notes, words=True)


def _costs(one: Measurement) -> Table:
    follow_ups = one.follow_ups[1:] or one.follow_ups
    rows = [
        _row("first, cold", one.cold),
        _row("first", one.warm, one.repeated),
        _row(f"watch and keep ({one.kept})", one.watching),
        _row("first question on it", one.follow_ups[0]),
        _row("follow-up", median_cost(follow_ups), follow_ups),
    ]
    rows += [_row(cost.variant, cost) for cost in one.baselines]
    rows.append(_row("every frame decoded", one.decoding))
    head = ["", *PHASES, "total s", "fastest–slowest", "TTFT s", "peak", "tokens", "read"]
    video = one.video
    notes = [
        f"{clock(video['duration'])} of {video['width']}×{video['height']}, {video['frames']} frames at "
        f"{video['fps']:.3g} a second in {video['segments']} segments, budget {video['budget']}, "
        f"{video['model']}. The decoder takes {one.decoder_ttft:.3g} s to the first token and "
        f"writes {one.decode_tokens_per_second:.3g} tokens a second after it. Peak is memory beyond what was "
        "in use before. One pass watches, routes and distils at once.",
        f"The row of the first answer is the median of {len(one.repeated)}, that of the follow-up the median "
        f"of {len(follow_ups)}.",
        *(f"{what}: not measured, {why}." for what, why in one.not_measured.items()),
    ]
    return Table(f"Costs: {_name(one)}", head, rows, notes)


def _questions(one: Measurement) -> Table:
    rows = []
    for count in (1, 2, 4, 8, 16, 32):
        if count > len(one.follow_ups):
            break
        together = _seconds_of(one, count) * count
        share = together / (count * one.warm.total)
        rows.append([str(count), f"{together:.2f}", f"{together / count:.2f}", f"{share:.3f}"])
    head = ["questions", "s in all", "s each", "of as many first answers"]
    return Table(f"Many questions: {_name(one)}", head, rows, ["With watching, once."])


def _budgets(one: Measurement) -> Table:
    rows = [
        [str(budget), f"{cost.total:.3f}", str(cost.visual_tokens), str(cost.prompt_tokens)]
        for budget, cost in one.by_budget.items()
    ]
    return Table(f"Budgets: {_name(one)}", ["budget", "s a follow-up", "tokens", "read"], rows)


def _flops(one: Measurement) -> Table:
    counted = one.flops
    one_pass = counted.one_pass
    rows = [
        [name, f"{number / TERA:.4g}", f"{number / one_pass:.3f}"]
        for name, number in (
            ("watch: vision", counted.vision),
            ("watch: language", counted.language),
            ("route", counted.score),
            ("distil", counted.compress),
            ("follow-up of the compressor", counted.follow_up),
            ("one pass of the compressor", one_pass),
            ("decoder, the storyline", counted.prefill),
        )
    ]
    head = ["", "TFLOPs", "of one pass"]
    return Table(f"FLOPs: {_name(one)}", head, rows)


def _row(name: str, cost: Cost, of: Sequence[Cost] = ()) -> list[str]:
    """The cells of one cost; `of` are those that it is the median of."""
    seconds = [f"{cost.seconds[phase]:.2f}" if cost.seconds.get(phase) else NONE for phase in PHASES]
    peak = size(cost.peak_bytes) + (f" + {size(cost.gpu_peak_bytes)} GPU" if cost.gpu_peak_bytes else "")
    ttft = f"{cost.time_to_first_token:.2f}" if cost.time_to_first_token else NONE
    tokens = [str(number) if number else NONE for number in (cost.visual_tokens, cost.prompt_tokens)]
    totals = [one.total for one in of]
    spread = f"{min(totals):.2f}–{max(totals):.2f}" if len(totals) > 1 else NONE
    return [name, *seconds, f"{cost.total:.2f}", spread, ttft, peak, *tokens]


def _seconds_of(one: Measurement, count: int) -> float:
    """Seconds a question, for `count` about a video that is watched once."""
    if count > len(one.follow_ups):
        return math.nan
    return (one.watching.total + sum(cost.total for cost in one.follow_ups[:count])) / count


def _mean_follow_up(one: Measurement) -> float:
    later = one.follow_ups[1:]
    return sum(cost.total for cost in later) / len(later) if later else math.nan


def _baseline(one: Measurement, name: str) -> float:
    return next((cost.total for cost in one.baselines if cost.variant == name), math.nan)


def _name(one: Measurement) -> str:
    return f"{clock(one.video['duration'])}, {min(one.video['width'], one.video['height'])}p"
