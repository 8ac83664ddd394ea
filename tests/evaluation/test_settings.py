"""The arguments of a model, as lmms-eval passes them."""

import dataclasses

import pytest

from tempo.errors import UsageError
from tempo.evaluation.settings import Settings, parse_budget


def test_the_defaults_are_the_published_sampling():
    settings = Settings()
    assert (settings.fps, settings.min_frames, settings.max_frames) == (2.0, 8, 1024)
    assert settings.adaptive
    assert settings.keep == "head"


@pytest.mark.parametrize(("text", "tokens"), [("4k", 4096), ("8K", 8192), ("12k", 12288), ("777", 777)])
def test_budgets(text, tokens):
    assert parse_budget(text) == tokens


@pytest.mark.parametrize("text", ["", "k", "0", "-4", "4.5", "16k", "٣"])
def test_what_is_no_budget(text):
    with pytest.raises(UsageError, match="budget"):
        parse_budget(text)


def test_arguments_survive_lmms_evals_command_line():
    settings = Settings(pretrained="some/where", budget=4096, adaptive=False, dtype="bfloat16", fps=1.5)
    # What lmms-eval does with such a text, in its own words: split at commas, and guess the type.
    guessed = {}
    for part in settings.to_arguments().split(","):
        name, _, value = part.partition("=")
        guess = {"True": True, "False": False}.get(value, value)
        for number in (float, int):
            try:
                guess = number(value)
            except ValueError:
                continue
        guessed[name] = guess
    assert Settings.from_arguments(guessed) == settings


def test_lmms_eval_may_pass_a_budget_as_a_word():
    assert Settings.from_arguments({"budget": "8k"}).budget == 8192
    assert Settings.from_arguments({"device": None}) == Settings()


@pytest.mark.parametrize(
    "wrong",
    [
        {"bugdet": 1},
        {"fps": 0},
        {"fps": "fast"},
        {"budget": -1},
        {"min_frames": 9, "max_frames": 8},
        {"cache": "none"},
        {"keep": "middle"},
        {"adaptive": "yes"},
    ],
    ids=str,
)
def test_what_can_never_work_is_refused(wrong):
    with pytest.raises(UsageError) as error:
        Settings.from_arguments(wrong)
    assert any(name in str(error.value) for name in wrong)


def test_names_that_lmms_eval_would_tear_apart_are_refused():
    with pytest.raises(UsageError, match="pretrained"):
        dataclasses.replace(Settings(), pretrained="a,b").to_arguments()
