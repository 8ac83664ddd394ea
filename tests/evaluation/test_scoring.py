"""Letters, verdicts and degenerate answers."""

import pytest

from tempo.evaluation.benchmarks import BENCHMARKS
from tempo.evaluation.item_log import ItemRecord
from tempo.evaluation.letters import letter_of
from tempo.evaluation.scoring import odd, outcome, repeats

LVBENCH, LONG = BENCHMARKS["lvbench"], BENCHMARKS["longvideobench_val_v"]


def record(text="", **values):
    return ItemRecord(
        **{"task": "t", "item": 0, "asked": "a", "question": "?", "video": "v", "text": text} | values
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("B", "B"),
        (" B.\n", "B"),
        ("(C)", "C"),
        ("D) a red star", "D"),
        ("A. red", "A"),
        ("B: blue", "B"),
        ("B red star", "B"),
        ("**C**", "C"),
        ("'A'", "A"),
        ("The answer is B.", "B"),
        ("The correct answer is (D).", "D"),
        ("I would choose C", "C"),
        ("Option A", "A"),
        ("It is not A but (B)", "B"),
        ("Because it moves to the left.\nC", "C"),
        ("Answer: D", "D"),
    ],
)
def test_letters_that_are_given(text, wanted):
    assert letter_of(text, "ABCD") == wanted


@pytest.mark.parametrize(
    "text",
    ["", "Blue", "A dog runs", "A red star is shown.", "red", "Dogs", "E", "b", "The Best", "Can't say"],
)
def test_answers_that_give_none(text):
    assert letter_of(text, "ABCD") is None


def test_the_fifth_letter_is_one_where_there_are_five_options():
    assert letter_of("E", LONG.letters) == "E"


def test_outcomes():
    assert outcome(LVBENCH, record("B"), True) == "right"
    assert outcome(LVBENCH, record("B"), False) == "wrong"
    assert outcome(LVBENCH, record("", error="no such file"), False) == "error"
    # lmms-eval takes the B of Blue, and draws a letter where LongVideoBench gets none: neither is right.
    assert outcome(LVBENCH, record("Blue"), True) == "no letter"
    assert outcome(LONG, record(""), {"answer": "C", "parsed_pred": "C"}) == "no letter"
    # The question lists the options, and so a letter is told from the word that it is too.
    asked = record("A red ball", question="What falls?\nA. blue\nB. red ball")
    assert outcome(LVBENCH, asked, True) == "no letter"
    asked = record("A red ball", question="What falls?\nA. red ball\nB. blue")
    assert outcome(LVBENCH, asked, True) == "right"
    assert outcome(LVBENCH, record("B or C"), True) == "no letter"
    assert outcome(LONG, record("C"), {"answer": "C", "parsed_pred": "C"}) == "right"


def test_degenerate_answers():
    assert odd(record("")) == "empty"
    assert odd(record(" \n")) == "empty"
    assert odd(record("the the the the the the")) == "repeating"
    assert odd(record("B, because", finished=False)) == "cut off"
    assert odd(record("B")) is None
    assert odd(record("", error="gone")) is None


@pytest.mark.parametrize(
    "text", ["ababababab", "I see. I see. I see. I see.", "x" * 40, "So: no no no no no no"]
)
def test_going_round_in_circles(text):
    assert repeats(text)


@pytest.mark.parametrize(
    "text", ["B", "1000000", "A red, red star.", "no no", "The man walks, the man runs."]
)
def test_not_going_round_in_circles(text):
    assert not repeats(text)
