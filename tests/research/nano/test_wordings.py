"""Questions written by hand: what is held out is held out, and every one can be asked."""

import random

import pytest

from research.nano.wordings import read
from tempo.synthetic.templates import (
    GLOBAL_HELD_OUT,
    GLOBAL_TEMPLATES,
    HELD_OUT,
    TEMPLATES,
    WIDE_HELD_OUT,
    WIDE_TEMPLATES,
)

BUILT_IN = (TEMPLATES | GLOBAL_TEMPLATES | WIDE_TEMPLATES, HELD_OUT | GLOBAL_HELD_OUT | WIDE_HELD_OUT)
GAPS = {"np": "the red star", "a": "a red star", "b": "a blue ring"}


def plainly(text: str) -> str:
    """But for spelling, capitals and the last mark, none of which makes another wording."""
    return text.lower().replace("color", "colour").rstrip("?. ")


def test_no_wording_is_in_two_parts_or_in_the_templates():
    sets = [
        {plainly(text) for texts in templates.values() for text in texts}
        for templates in (read("train"), read("validation"), read("held_out"), *BUILT_IN)
    ]
    assert [len(found) for found in sets[:3]] == [371, 100, 100]
    for index, one in enumerate(sets[:3]):
        for other in sets[index + 1 :]:
            assert not one & other


@pytest.mark.parametrize("part", ["train", "validation", "held_out"])
def test_each_names_what_questions_of_its_kind_name(part):
    templates = read(part)
    assert templates.keys() == BUILT_IN[0].keys()
    rng = random.Random(0)
    for kind, texts in templates.items():
        model = rng.choice(BUILT_IN[0][kind])
        for text in texts:
            assert {g for g in GAPS if f"{{{g}}}" in text} == {g for g in GAPS if f"{{{g}}}" in model}, text
            assert "{" not in text.format(**GAPS)
