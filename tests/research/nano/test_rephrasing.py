"""Questions in other words and other forms keep their answers."""

import random
import re

from research.nano.datasets.rephrasing import FORMS, STILL, rephrase, standing_still
from research.nano.wordings import read
from tempo.synthetic.questions import LETTERS, make_question
from tempo.synthetic.script import make_script
from tempo.synthetic.templates import KINDS


def questions(*, choice):
    rng = random.Random(5)
    for number in range(240):
        script = make_script(rng, duration=40, wide=number % 2 == 0)
        question = make_question(rng, script, kind=KINDS[number % len(KINDS)], choice=choice)
        if question:
            yield rng, script, question


def test_the_label_stands_before_the_right_option():
    numbers = set()
    for rng, script, question in questions(choice=True):
        right = question.options[LETTERS.index(question.answer)]
        put = rephrase(rng, script, question)
        assert put.options.count(right) == 1
        assert len(set(put.options)) == len(put.options)
        # The label, its mark, the option, and then no more letters: it is this very option.
        assert re.search(rf"(?<!\w){put.answer}[).:]+ {re.escape(right)}(?!\w)", put.text), put
        numbers.add(len(put.options))
    assert numbers >= {2, 3, 4, 5, 6}


def test_wrong_options_are_mostly_on_screen_at_some_other_time():
    shown = total = 0
    for rng, script, question in questions(choice=True):
        put = rephrase(rng, script, question)
        if question.kind == "colour" and put.options != question.options:
            colours = {thing.colour for _, thing in script.appearances}
            right = question.options[LETTERS.index(question.answer)]
            wrong = [option for option in put.options if option != right]
            shown += sum(option in colours for option in wrong)
            total += len(wrong)
    assert shown / total > 0.5


def test_open_questions_keep_their_answer_and_never_use_a_held_out_wording():
    kept_apart = [t for part in ("validation", "held_out") for ts in read(part).values() for t in ts]
    beginnings = tuple({re.split(r"\{", t)[0] for t in kept_apart if len(re.split(r"\{", t)[0]) > 14})
    reworded = 0
    for rng, script, question in questions(choice=False):
        put = rephrase(rng, script, question)
        assert put.answer == question.answer
        assert not put.text.startswith(beginnings)
        reworded += put.text != question.text
    assert 80 < reworded < 200


def test_what_stands_still_is_asked_about():
    rng = random.Random(1)
    scripts = (make_script(rng, duration=30, wide=True) for _ in range(40))
    found = [question for script in scripts if (question := standing_still(rng, script))]
    assert len(found) > 10
    assert {question.answer for question in found} == {STILL}
    assert all(question.kind == "direction" for question in found)


def test_every_form_numbers_its_options():
    rng = random.Random(0)
    for form in FORMS:
        text = form.put(rng, "What colour is it?", ["red", "blue"])
        assert re.search(rf"{form.labels[0]}\S* red", text)
        assert re.search(rf"{form.labels[1]}\S* blue", text)
