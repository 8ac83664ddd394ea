"""Every command that the README and the help texts show is one that the command line accepts."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from tempo.cli.main import FIRST_STEPS, VERBS, parser_of

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def commands(text):
    """The argument lists of the lines that call tempo."""
    lines = re.findall(r"^(?:  |\$ )?(tempo [a-z].*)$", text, re.MULTILINE)
    return [shlex.split(re.split(r" (?:\||>>?|<) ", line)[0], comments=True)[1:] for line in lines]


IN_README = [
    call for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL) for call in commands(block)
]
IN_HELP = commands(FIRST_STEPS) + [
    call for verb in VERBS for call in commands(importlib.import_module(f"tempo.cli.{verb}").__doc__)
]


@pytest.mark.parametrize("call", IN_README + IN_HELP, ids=" ".join)
def test_shown_commands_are_accepted(call):
    verb, *arguments = call
    if arguments == ["--help"]:
        assert verb in VERBS
        return
    assert parser_of(verb).parse_args(arguments)


@pytest.mark.parametrize("call", IN_README + IN_HELP, ids=" ".join)
def test_what_the_embedded_model_cannot_answer_names_the_model_that_can(call):
    verb, *arguments = call
    if verb in ("ask", "chat", "moments") and arguments != ["--help"]:
        assert arguments[0].startswith("films/") or "--model" in arguments


def test_nothing_was_missed():
    assert len(IN_README) >= 5
    assert len(IN_HELP) >= 2 * len(VERBS)
