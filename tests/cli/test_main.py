"""The frame around every verb: help, version, usage errors."""

import importlib

import pytest

from tempo.cli.main import VERBS
from tempo.version import __version__


def test_version(tempo):
    done = tempo("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"tempo {__version__}\n", "")


def test_overview_lists_every_verb_with_examples(tempo):
    done = tempo("--help")
    assert done.returncode == 0
    assert "Examples:" in done.stdout
    for verb, summary in VERBS.items():
        assert verb in done.stdout
        assert summary in done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_every_verb(tempo, verb):
    done = tempo(verb, "--help")
    assert done.returncode == 0, done.stderr
    assert f"usage: tempo {verb}" in done.stdout
    description, examples = done.stdout.split("Examples:\n")
    assert f"tempo {verb} " in examples
    assert description.count("\n") > 5
    assert (importlib.import_module(f"tempo.cli.{verb}").__doc__ or "").splitlines()[0] in description


def test_no_verb_shows_the_help_and_is_wrong_usage(tempo):
    done = tempo()
    assert done.returncode == 2
    assert "Examples:" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["aks"], ["'aks'", "'ask'"]),
        (["--verbos"], ["--verbos"]),
        (["ask"], ["VIDEO", "QUESTION", "tempo ask --help"]),
        (["ask", "a.mp4"], ["QUESTION"]),
        (["ask", "a.mp4", "what?", "--frames", "3"], ["--frames"]),
        (["ask", "a.mp4", "what?", "--json", "--quiet"], ["--json", "--quiet"]),
    ],
)
def test_wrong_usage_is_one_line(fails, arguments, names):
    message = fails(*arguments, status=2)
    for name in names:
        assert name in message
