"""How a model answers about the package's own videos in wordings that training never used.

    python -m research.nano.probe_wordings     # the embedded model, wordings held out for good
    python -m research.nano.probe_wordings --model runs/mine/average/model --part validation

Every hand-written wording of the part is asked once about a held-out video, plain and wide ones in turn, and
every form of multiple choice once a video, with wrong options that mostly are on screen at some other time.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import tempo
from research.nano.datasets.rephrasing import FORMS, STILL, reform, reword
from research.nano.wordings import Part, read
from tempo.stats import wilson
from tempo.synthetic.answer_scoring import is_correct
from tempo.synthetic.expressions import SyntheticQuestion
from tempo.synthetic.questions import make_question
from tempo.synthetic.script import Script, make_script
from tempo.synthetic.templates import KINDS, WIDE_KINDS
from tempo.synthetic.video_files import ASPECTS, FileSpec, write_video

# Their options are those of the question and cannot be put in another order, or there are but two.
_NO_CHOICE = ("exists", "first", "never", "summary", "times")
MOST_SCENES = 6  # of a video that a summary is asked of, as in training


@dataclass(frozen=True)
class Probe:
    """A question and the row of the table that it counts for."""

    group: str
    question: SyntheticQuestion


def written_by_hand(rng: random.Random, script: Script, part: Part, done: set[str]) -> Iterator[Probe]:
    """Questions in wordings of `part` that are not among `done` yet, at most one of each kind."""
    templates = read(part)
    for kind in sorted(templates):
        left = [template for template in templates[kind] if template not in done]
        question = make_question(rng, script, kind=kind, held_out=True) if left else None
        if question is None or (kind == "summary" and len(script.scenes) > MOST_SCENES):
            continue
        stem = reword(rng, question, left[:1])
        if question.options:  # of "never", which names its options alone
            stem = "\n".join([stem, *question.text.split("\n")[1:]])
        done.add(left[0])
        yield Probe(f"by hand: {kind}", replace(question, text=stem))


def in_all_forms(rng: random.Random, script: Script, part: Part) -> Iterator[Probe]:
    """One question in every form of multiple choice."""
    kinds = [kind for kind in (*KINDS, *(WIDE_KINDS if script.wide else ())) if kind not in _NO_CHOICE]
    for form in FORMS:
        for kind in rng.sample(kinds, len(kinds)):
            question = make_question(rng, script, kind=kind, held_out=True, choice=True)
            if question is not None:
                stem = reword(rng, question, read(part)[kind])
                name = (
                    form.name or f"{form.mark.format(form.labels[0])}{' in a line' * (form.opening == ' ')}"
                )
                group = "official" if form.name else "people's"
                yield Probe(f"{group}: {name}", reform(rng, script, question, stem, form))
                break


def standing(rng: random.Random, script: Script, part: Part) -> Iterator[Probe]:
    """Which way something moves that stands still."""
    for _ in range(8):
        question = make_question(rng, script, kind="action", held_out=True)
        if question is not None and question.answer.endswith("stands still."):
            stem = rng.choice(read(part)["direction"]).format(np=question.expressions[0].say(rng))
            yield Probe("still", replace(question, kind="direction", text=stem, answer=STILL))
            return


def probe(
    model: tempo.Tempo, *, videos: int, seconds: float, part: Part, budget: int | None, seed: str
) -> Iterator[tuple[Probe, str, bool]]:
    """Ask everything about every video → the question, the answer and whether it is right."""
    done: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(videos):
            rng = random.Random(f"{seed}/{number}/held-out")
            aspect, wide = rng.choice(tuple(ASPECTS)), number % 2 == 1
            spec = FileSpec(seconds=seconds, height=240, fps=10, aspect=aspect, held_out=True, wide=wide)
            script = make_script(rng, duration=seconds, aspect=ASPECTS[aspect], wide=wide)
            path = Path(folder) / f"{number}.mp4"
            write_video(script, path, spec)
            session = model.watch(path)
            window = model.config.segment_frames / session.sampling.fps
            for one in (
                *written_by_hand(rng, script, part, done),
                *in_all_forms(rng, script, part),
                *standing(rng, script, part),
            ):
                answer = session.ask(one.question.text, budget=budget, max_new_tokens=64).text
                yield one, answer, is_correct(one.question.to_json(), answer, window=window)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="default: the embedded one")
    parser.add_argument("--part", choices=("train", "validation", "held_out"), default="held_out")
    parser.add_argument("--videos", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--budget", type=int, default=512, help="memory tokens a video")
    parser.add_argument("--seed", default="wordings")
    parser.add_argument("--wrong", action="store_true", help="print what was answered wrong")
    args = parser.parse_args()
    rights: dict[str, list[bool]] = defaultdict(list)
    model = tempo.load(args.model)
    for one, answer, right in probe(
        model,
        videos=args.videos,
        seconds=args.seconds,
        part=args.part,
        budget=args.budget,
        seed=f"{args.seed}/{args.part}",
    ):
        rights[one.group.split(":")[0]].append(right)
        rights[one.group].append(right)
        if args.wrong and not right:
            print(f"{one.group}: {one.question.text!r} -> {answer!r}, not {one.question.answer!r}")
    for group, found in sorted(rights.items()):
        low, high = wilson(sum(found), len(found))
        share = sum(found) / len(found)
        print(f"{group:28} {sum(found):4} of {len(found):4}  {share:4.0%} [{low:.0%}, {high:.0%}]")


if __name__ == "__main__":
    main()
