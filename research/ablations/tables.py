"""Tables of a run: each variant beside the one that it is compared with, on the same questions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tempo.reporting.tables import Table
from tempo.stats import bootstrap, mcnemar, wilson

from .records import Records
from .variants import (
    ADAPTIVE,
    PUBLISHED_A_FRAME,
    QUARTER_HEAD,
    Variant,
    allocations,
    keeps,
    over_budgets,
    tight_share,
)

NONE = "–"
DIFFERENCE = "difference in points"
SPREADS = {
    "adaptive": "adaptive",
    "uniform": "uniform, the same cap",
    "even": "uniform, the same tokens",
    "shuffled": "random routing, the same tokens",
    "inverted": "inverted routing, the same tokens",
}


def tables(records: Records, *, k_max: int, segment_frames: int) -> list[Table]:
    """Everything that was compared.

    Args:
        k_max: memory tokens of a segment, of segment_frames frames.
    """
    tight = tight_share(k_max)
    return [
        _allocation("Adaptive allocation at the model's own budget", records, None, notes=[_found(records)]),
        _allocation(f"Adaptive allocation at {tight * k_max:g} tokens a segment", records, tight),
        _compared("Which memory tokens stay, adaptive", records, keeps(ADAPTIVE), _keep_name),
        _compared(
            f"Which memory tokens stay, {QUARTER_HEAD.share or 1:.0%} of each segment",
            records,
            keeps(QUARTER_HEAD),
            _keep_name,
        ),
        _compared(
            "The question in the compressor",
            records,
            [ADAPTIVE, Variant(asked=False)],
            lambda variant: "with the question" if variant.asked else "without",
        ),
        _timestamps(records),
        _budgets(records, k_max=k_max, segment_frames=segment_frames),
        _used(records, k_max=k_max),
    ]


def right(records: Records, variant: Variant) -> list[bool]:
    """Whether each question is answered right by one variant, in the order of the records."""
    return [record["answers"][variant.name]["right"] for record in records]


def share_text(rights: Sequence[bool]) -> str:
    """Per cent, with the interval and the numbers that it rests on."""
    if not rights:
        return NONE
    low, high = wilson(sum(rights), len(rights))
    return f"{100 * sum(rights) / len(rights):.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def difference_cells(rights: Sequence[bool], reference: Sequence[bool]) -> list[str]:
    """How much better than the reference, question by question, in points; and McNemar's counts with p."""
    if not rights:
        return [NONE, NONE, NONE]
    differences = [100.0 * (one - other) for one, other in zip(rights, reference, strict=True)]
    low, high = bootstrap(differences)
    gained, lost = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    mean = sum(differences) / len(differences)
    return [f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]", f"{gained} / {lost}", f"{mcnemar(gained, lost):.3f}"]


def mean_text(values: Sequence[float], digits: int = 0) -> str:
    """A mean with its interval."""
    if not values:
        return NONE
    low, high = bootstrap(values)
    return f"{sum(values) / len(values):.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _tokens(records: Records, variant: Variant, field: str = "tokens") -> list[float]:
    return [float(record["answers"][variant.name][field]) for record in records]


def _compared(
    title: str,
    records: Records,
    variants: Sequence[Variant],
    name: Callable[[Variant], str],
    *,
    notes: Sequence[str] = (),
) -> Table:
    """A row for each variant, beside the first one."""
    reference = right(records, variants[0])
    rows = []
    for variant in variants:
        rights = right(records, variant)
        against = [NONE] * 3 if variant is variants[0] else difference_cells(rights, reference)
        rows.append([name(variant), mean_text(_tokens(records, variant)), share_text(rights), *against])
    head = ["variant", "tokens a question", "right, %", DIFFERENCE, "gained / lost", "p"]
    return Table(title, head, rows, [f"{len(records)} questions.", *notes])


def _allocation(title: str, records: Records, share: float | None, *, notes: Sequence[str] = ()) -> Table:
    caps = [int(cap) for cap in _tokens(records, Variant(share=share), "cap")]
    note = f"The cap is {_range(caps)} tokens a video."
    return _compared(
        title, records, allocations(share), lambda variant: SPREADS[variant.spread], notes=[note, *notes]
    )


def _found(records: Records) -> str:
    """How well the router finds the evidence, on which every comparison of allocations depends."""
    tops = [record["rank"] < 0.1 for record in records if record["rank"] is not None]
    found = share_text(tops)
    return f"The evidence is in the top tenth of relevance for {found} % of {len(tops)} questions."


def _keep_name(variant: Variant) -> str:
    return variant.keep


def _timestamps(records: Records) -> Table:
    """Timestamps matter for questions about times; the others are listed separately."""
    rows = []
    reference, without = right(records, ADAPTIVE), right(records, Variant(timed=False))
    parts: dict[str, Callable[[dict[str, Any]], bool]] = {
        "all questions": lambda record: True,
        "when": lambda record: record["kind"] == "when",
        "first": lambda record: record["kind"] == "first",
        "the others": lambda record: record["kind"] not in ("when", "first"),
    }
    for name, belongs in parts.items():
        chosen = [place for place, record in enumerate(records) if belongs(record)]
        one, other = [reference[place] for place in chosen], [without[place] for place in chosen]
        rows.append(
            [name, str(len(chosen)), share_text(one), share_text(other), *difference_cells(other, one)]
        )
    head = ["questions", "number", "with, %", "without, %", DIFFERENCE, "gained / lost", "p"]
    return Table("Timestamps in the storyline", head, rows)


def _budgets(records: Records, *, k_max: int, segment_frames: int) -> Table:
    rows = []
    uniform_variants = over_budgets("uniform", k_max)
    for variant, uniform in zip(over_budgets("adaptive", k_max), uniform_variants, strict=True):
        assert variant.share is not None
        rights, others = right(records, variant), right(records, uniform)
        rows.append(
            [
                f"{variant.share:.3g}",
                f"{variant.share * PUBLISHED_A_FRAME:g}",
                f"{variant.share * k_max / segment_frames:.3g}",
                share_text(rights),
                share_text(others),
                *difference_cells(rights, others),
            ]
        )
    head = [
        "share of all tokens",
        "published tokens a frame",
        "this model's",
        "adaptive, %",
        "uniform, %",
        "adaptive better by",
        "gained / lost",
        "p",
    ]
    note = (
        f"A segment of {segment_frames} frames has {k_max} memory tokens, and published weights have "
        f"{PUBLISHED_A_FRAME} a frame: budgets are given as shares of all. A segment keeps at least one "
        "token, so smaller shares cannot be had."
    )
    return Table("Right answers over budgets", head, rows, [f"{len(records)} questions.", note])


def _used(records: Records, *, k_max: int) -> Table:
    rows = []
    for variant in over_budgets("adaptive", k_max):
        used, caps = _tokens(records, variant), _tokens(records, variant, "cap")
        shares = [100 * one / cap for one, cap in zip(used, caps, strict=True)]
        rows.append(
            [
                f"{variant.share:.3g}",
                _range([int(cap) for cap in caps]),
                mean_text(used),
                _range([int(one) for one in used]),
                mean_text(shares, 1),
            ]
        )
    head = ["cap, share of all", "cap in tokens", "used, mean", "used, least–most", "used of the cap, %"]
    return Table("Tokens used of the cap, adaptive", head, rows)


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low}–{high}"
