"""Questions as other people put them: wordings written by hand, and multiple choice in all forms.

The generator asks in its own templates, and its multiple choice has one form, whose wrong options are mostly
nowhere in the video. A model that saw nothing else picks whatever option is on screen somewhere.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from research.nano.wordings import read
from tempo.synthetic.expressions import SyntheticQuestion
from tempo.synthetic.questions import LETTERS, make_question
from tempo.synthetic.script import Script
from tempo.synthetic.templates import TEMPLATES
from tempo.synthetic.vocabulary import COLOURS, DIRECTIONS, SHAPES

REWORDED = 0.55  # of the questions: in a wording written by hand
CARELESS = 0.5  # of all: with words around them, in small letters, without a mark, or with a slip
STANDING = 0.08  # of the questions about one thing: which way something moves that does not
REFORMED = 0.75  # of those that are multiple choice: in another form, with other options
STILL = "It stands still."


@dataclass(frozen=True)
class ChoiceForm:
    """How multiple choice is written.

    Attributes:
        mark: of an option; {} is its letter or number.
        after, before: what may stand behind the options and before the question.
        opening, joint: between the question and the options, and between two of these.
        share: how often it is used, beside the others.
        name: of the benchmark whose official wording it is.
    """

    mark: str
    after: tuple[str, ...] = ("",)
    before: tuple[str, ...] = ("",)
    opening: str = "\n"
    joint: str = "\n"
    labels: str = "ABCDEF"
    share: float = 1.0
    name: str = ""

    def put(self, rng: random.Random, question: str, options: Sequence[str]) -> str:
        """The question with its options."""
        lines = (
            f"{self.mark.format(label)} {text}" for label, text in zip(self.labels, options, strict=False)
        )
        body = f"{question}{self.opening}{self.joint.join(lines)}"
        return rng.choice(self.before) + body + rng.choice(self.after)


_DIRECTLY = "Answer with the option's letter from the given choices directly."
_BEST = (
    "Select the best answer to the following multiple-choice question based on the video{}. Respond with "
    "only the letter (A, B, C, or D) of the correct option.\n"
)
_PEOPLE = (
    "",
    "\nAnswer with the letter.",
    "\nBest answer:",
    "\nrespond with only the letter",
    "\nwhich one?",
    "\nJust the letter please.",
    "\nAnswer:",
    "\nPick one.",
)
# The first five are how lmms-eval puts the questions of LVBench, MLVU, Video-MME and LongVideoBench.
FORMS = (
    ChoiceForm(
        "({})", ("\nAnswer the question with the option letter", f"\n{_DIRECTLY}"), share=2, name="LVBench"
    ),
    ChoiceForm(
        "({})",
        ("\nOnly give the best option.\nBest option: (", "\nOnly give the best option."),
        share=2,
        name="MLVU",
    ),
    ChoiceForm(
        "{}.",
        (f"\n\n{_DIRECTLY}", "\nThe best answer is:"),
        before=(_BEST.format(" and the subtitles"), _BEST.format("")),
        share=4,
        name="Video-MME",
    ),
    ChoiceForm(
        "{}.",
        ("\nAnswer with the option letter only.",),
        before=("Question: ",),
        opening="\nOptions:\n",
        name="Video-MME, Qwen3-VL",
    ),
    ChoiceForm("{}.", (f"\n{_DIRECTLY}\n", f"\n{_DIRECTLY}"), share=2, name="LongVideoBench"),
    ChoiceForm("{}.", _PEOPLE),
    ChoiceForm("({})", _PEOPLE),
    ChoiceForm("{})", _PEOPLE),
    ChoiceForm("{}:", _PEOPLE, share=0.5),
    # Letters that are not capitals, and numbers, are learnt last.
    ChoiceForm("{})", _PEOPLE, labels="abcdef", share=4),
    ChoiceForm(
        "{}.", ("", "\nAnswer with the number.", "\nJust give me the number."), labels="123456", share=6
    ),
    ChoiceForm("{})", ("", " which one?", "?"), opening=" ", joint=" ", share=2),
    ChoiceForm("{})", ("", " which one?"), opening=" ", joint=", ", labels="abcdef", share=4),
)
_SHARES = [form.share for form in FORMS]


def rephrase(rng: random.Random, script: Script, question: SyntheticQuestion) -> SyntheticQuestion:
    """The same question, some of the time in other words, and in another form where it has options."""
    if question.earlier or question.answer == STILL:
        return question
    stem = question.text.split("\n")[0] if question.options else question.text
    if rng.random() < REWORDED:
        stem = reword(rng, question, _templates()[question.kind])
    if rng.random() < CARELESS:
        stem = carelessly(rng, stem)
    if not question.options:
        return replace(question, text=stem)
    if rng.random() >= REFORMED:
        return replace(question, text="\n".join([stem, *question.text.split("\n")[1:]]))
    (form,) = rng.choices(FORMS, _SHARES)
    return reform(rng, script, question, stem, form)


def reform(
    rng: random.Random, script: Script, question: SyntheticQuestion, stem: str, form: ChoiceForm
) -> SyntheticQuestion:
    """A multiple choice question as `stem` and options in another form."""
    right = question.options[LETTERS.index(question.answer)]
    options = _options(rng, script, question, right)
    label = form.labels[options.index(right)]
    return replace(question, text=form.put(rng, stem, options), answer=label, options=tuple(options))


def standing_still(rng: random.Random, script: Script) -> SyntheticQuestion | None:
    """Which way something moves that does not; None where nothing stands still that can be told apart."""
    for _ in range(4):
        question = make_question(rng, script, kind="action")
        if question is not None and question.answer.endswith("stands still."):
            text = rng.choice((*TEMPLATES["direction"], *_templates()["direction"]))
            text = text.format(np=question.expressions[0].say(rng))
            return replace(question, kind="direction", text=text, answer=STILL)
    return None


_OPENINGS = (
    *(
        "hey,",
        "hi,",
        "ok,",
        "well,",
        "um",
        "now",
        "and",
        "but",
        "sorry,",
        "please:",
        "quick question:",
        "tell me,",
    ),
    *(
        "I'd like to know:",
        "just checking,",
        "question:",
        "in this video,",
        "in the clip,",
        "here,",
        "look closely:",
    ),
    *(
        "do you know",
        "can you say",
        "based on the video,",
        "according to the video,",
        "think first:",
        "next:",
    ),
)
_CLOSINGS = (
    *(
        " please",
        " thanks",
        " pls",
        "??",
        "!",
        " in the video",
        " in this clip",
        " here",
        " exactly",
        " by any chance",
    ),
    *(
        " if you can tell",
        ", short answer",
        ". Answer briefly.",
        ", be brief",
        ". Thanks!",
        ", in your view",
        "...",
    ),
)


def carelessly(rng: random.Random, stem: str) -> str:
    """The question as somebody types who is polite, chatty or in a hurry; what it names stays readable."""
    if rng.random() < 0.4:
        stem = f"{rng.choice(_OPENINGS)} {stem}"
    if rng.random() < 0.4:
        stem = stem.rstrip("?. ") + rng.choice(_CLOSINGS)
    if rng.random() < 0.4:
        stem = stem.rstrip("?. ")
    if rng.random() < 0.3:
        stem = stem.lower()
    elif rng.random() < 0.2:
        stem = stem[:1].upper() + stem[1:]
    return stem


@cache
def _templates() -> dict[str, list[str]]:
    return read("train")


def reword(rng: random.Random, question: SyntheticQuestion, templates: Sequence[str]) -> str:
    """The question in one of `templates`, which are those of its kind, without its options."""
    template, named = rng.choice(templates), question.expressions
    if question.kind == "never":  # it names its options alone
        return template
    if question.kind == "first":
        return template.format(a=named[0].say(rng), b=named[1].say(rng))
    if question.kind in ("exists", "times"):
        return template.format(a=named[0].say(rng, "a"))
    return template.format(np=named[0].say(rng)) if named else template


def _options(rng: random.Random, script: Script, question: SyntheticQuestion, right: str) -> list[str]:
    """Options in a new order: first what the video shows at some other time, then anything of that kind."""
    things = [thing for _, thing in script.appearances]
    shown, pool = {
        "colour": ([thing.colour for thing in things], tuple(COLOURS)),
        "shape": ([thing.shape for thing in things if thing.shape in SHAPES], SHAPES),
        "direction": ([thing.action for thing in things if thing.moves], tuple(DIRECTIONS)),
        "after": ([thing.name for thing in things], ()),
        "beside": ([thing.name for thing in things], ()),
        "text": ([thing.text for thing in things], ()),
    }.get(question.kind, ((), ()))
    if not shown:
        return list(question.options)  # of the others the order may be that of the things they name
    seen = sorted({value for value in shown if value} - {right})
    rest = sorted({*pool, *question.options} - {right, *seen})
    rng.shuffle(seen)
    rng.shuffle(rest)
    count = rng.choice((2, 3, 4, 4, 4, 4, 5, 6)) - 1
    mostly_seen = seen + rest if rng.random() < 0.7 else rest + seen
    options = [right, *mostly_seen[:count]]
    rng.shuffle(options)
    return options
