"""Choose the relevance below which nothing stands out for a model: its `relevance_floor`.

    python -m research.nano.relevance_floor --model src/tempo/assets/nano

Films of the generated world are drawn from seeds of their own, plain and wide, half of them held out. In
each, the model looks for things that are there and for as many that are not, half of these in a shape or a
colour that is; by a phrase, as in `tempo moments`, and by two questions. Questions of the other kinds follow,
about what is there. Something is found where the most relevant segment reaches the floor.

It prints a row for each floor: how much is found of what is there, and how much is rightly not found of what
is not. The floor to take is the highest one that loses at most one thing in fifty, at the upper end of the
95 % interval and in either world, and no higher than 0.5: people ask in words that no template has.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import tempo
from tempo.console import progress_bar
from tempo.inference.engine import Tempo
from tempo.inference.session import Session
from tempo.stats import wilson
from tempo.synthetic.expressions import (
    ReferringExpression,
    absent,
    choose_expression,
    expression_of,
    near,
)
from tempo.synthetic.script import Script, make_script
from tempo.synthetic.video_files import (
    ASPECTS,
    FOLLOW_UP,
    FileSpec,
    kinds_of,
    make_questions,
    write_video,
)
from tempo.synthetic.wording import word

LENGTHS = (20, 60, 180)  # seconds
FLOORS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
LOST = 0.02  # share of what is there that a floor may lose, at the upper end of its 95 % interval
HIGHEST = 0.5  # floor to take: from there on Yes is likelier than No


@dataclass(frozen=True)
class Search:
    """Something that was looked for in a film.

    Attributes:
        there: whether it is in the film.
        kind: "phrase", or the kind of the question.
        seconds: length of the film.
        best: relevance of its most relevant segment.
    """

    text: str
    kind: str
    there: bool
    seconds: float
    wide: bool
    best: float


def searches(model: Tempo, number: int, folder: Path, *, looks: int, questions: int) -> Iterator[Search]:
    """Draw film NUMBER, and look in it for LOOKS things that are there, as many that are not, and QUESTIONS
    more."""
    rng = random.Random(f"floor/{number}")
    wide, held_out = bool(number % 2), bool(number // 2 % 2)
    seconds, aspect = LENGTHS[number // 4 % len(LENGTHS)], rng.choice(tuple(ASPECTS))
    spec = FileSpec(seconds=seconds, height=240, fps=5, aspect=aspect, held_out=held_out, wide=wide)
    script = make_script(rng, duration=seconds, aspect=ASPECTS[aspect], wide=wide)
    path = folder / f"{number}.mp4"
    write_video(script, path, spec)
    session = model.watch(path, cache="host", progress=None)
    for look, there in _wanted(rng, script, looks):
        for kind, text in _phrased(rng, look, held_out=held_out).items():
            yield Search(text, kind, there, seconds, wide, _best(session, text))
    kinds = [kind for kind in kinds_of(wide=wide, everything=True) if kind not in (FOLLOW_UP, "never")]
    for question in make_questions(rng, script, count=questions, held_out=held_out, kinds=kinds):
        if question.evidence:
            yield Search(question.text, question.kind, True, seconds, wide, _best(session, question.text))
    path.unlink()


def _best(session: Session, text: str) -> float:
    return max(segment.relevance for segment in session.route(text))


def _wanted(rng: random.Random, script: Script, count: int) -> Iterator[tuple[ReferringExpression, bool]]:
    """Looks that something has and, as many, that nothing has."""
    seen = list(dict.fromkeys(expression_of(thing) for _, thing in script.appearances))
    others = absent(script, seen)
    alike = [look for look in others if near(look, seen)]
    for index, look in enumerate(rng.sample(seen, min(count, len(seen)))):
        yield look, True
        yield choose_expression(rng, alike if alike and index % 2 else others), False


def _phrased(rng: random.Random, look: ReferringExpression, *, held_out: bool) -> dict[str, str]:
    a = look.say(rng, "a")
    return {
        "phrase": a,
        "exists": word(rng, "exists", held_out=held_out, a=a),
        "when": word(rng, "when", held_out=held_out, np=look.say(rng)),
    }


def kept(found: Sequence[Search], floor: float) -> float:
    """The share whose most relevant segment reaches the floor."""
    return sum(search.best >= floor for search in found) / len(found)


def choose(found: Sequence[Search]) -> float:
    """The highest of FLOORS, up to HIGHEST, that can be said to lose no more than LOST in either world."""

    def lost(floor: float, wide: bool) -> float:
        there = [search.best < floor for search in found if search.there and search.wide == wide]
        return wilson(sum(there), len(there))[1]

    fit = [f for f in FLOORS if f <= HIGHEST and max(lost(f, wide) for wide in (False, True)) <= LOST]
    return max(fit, default=0.0)


def table(found: Sequence[Search]) -> str:
    """Markdown: a row for each floor."""
    named = ("phrase", "exists", "when")
    groups = [
        (f"{world}, {name}", [s for s in found if s.wide == (world == "wide") and belongs(s)], there)
        for world in ("plain", "wide")
        for name, belongs, there in (
            ("named and there", lambda s: s.there and s.kind in named, True),
            ("other questions", lambda s: s.there and s.kind not in named, True),
            ("named and not there", lambda s: not s.there, False),
        )
    ]
    groups = [group for group in groups if group[1]]
    rows = ["| floor | " + " | ".join(f"{name} ({len(some)})" for name, some, _ in groups) + " |"]
    rows.append("|---" * (len(groups) + 1) + "|")
    for floor in FLOORS:
        shares = [kept(some, floor) if there else 1 - kept(some, floor) for _, some, there in groups]
        rows.append(f"| {floor:g} | " + " | ".join(f"{100 * share:.1f} %" for share in shares) + " |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="folder of the model (default: the embedded one)")
    parser.add_argument("--films", type=int, default=48, help="(default: 48)")
    parser.add_argument("--looks", type=int, default=6, help="things that are there, of each (default: 6)")
    parser.add_argument("--questions", type=int, default=12, help="of other kinds, of each (default: 12)")
    parser.add_argument("--out", type=Path, help="add every search to this file, a line of JSON each")
    args = parser.parse_args()
    model = tempo.load(args.model)
    found: list[Search] = []
    with tempfile.TemporaryDirectory() as folder, progress_bar("looking", "films") as progress:
        for number in range(args.films):
            film = list(searches(model, number, Path(folder), looks=args.looks, questions=args.questions))
            found += film
            if args.out:
                with args.out.open("a", encoding="utf-8") as file:
                    file.writelines(json.dumps(asdict(search)) + "\n" for search in film)
            progress(number + 1, args.films)
    print(table(found))
    print(f"\nthe floor to take: {choose(found):g}")


if __name__ == "__main__":
    main()
