"""Every command and every line of Python on the pages is run, or marked as needing the published weights."""

import contextlib
import io
import re
import shlex
import sys
from pathlib import Path

import pytest

from tempo.cli.main import main, parser_of

DOCS = Path(__file__).parents[2] / "docs"
# In the order in which somebody would read them: the first one makes the film that the others watch. Pages
# about training and evaluation have tests of their own.
PAGES = ("index", "many-questions", "batch", "moments", "python", "troubleshooting", "published-weights")
ELSEWHERE = {
    "evaluation",
    "fine-tuning",
    "performance",
    "recipes",
    "reproducing",
    "results",
    "scaling",
    "serving",
    "training",
    "training-6b",
    "ui",
}
FENCE = re.compile(r"(<!-- needs the published weights -->\n)?```(\w+)\n(.*?)```", re.DOTALL)
MARK = "Vision-CAIR/Tempo-6B"
QUESTIONS = "Which shape moves?\n/budget 12\n/moments\n/quit\n"


def blocks(page):
    """(marked, language, text) of every block of code."""
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    return [(bool(mark), language, code) for mark, language, code in FENCE.findall(text)]


def commands(code):
    """The argument lists of the lines that call tempo, and where the output goes."""
    for line in code.splitlines():
        assert line.startswith("$ tempo "), line
        call, _, output = line.removeprefix("$ tempo ").partition(" > ")
        yield shlex.split(call), output


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_what_the_pages_show_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEMPO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    names = {}
    for page in PAGES:
        for marked, language, code in blocks(page):
            if language == "json":
                Path("cases.jsonl").write_text(code, encoding="utf-8")
            elif language == "python":
                with contextlib.redirect_stdout(io.StringIO()):
                    exec(code, names)
            elif not marked:
                for arguments, output in commands(code):
                    monkeypatch.setattr(sys, "stdin", io.StringIO(QUESTIONS))
                    said, told = io.StringIO(), io.StringIO()
                    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(told):
                        status = main(arguments)
                    assert (status, told.getvalue()) == (0, ""), arguments
                    assert said.getvalue().strip(), arguments
                    if output:
                        Path(output).write_text(said.getvalue(), encoding="utf-8")
    made = {path.name for path in tmp_path.iterdir()}
    assert made >= {
        "films",
        "tempo.bash",
        "results.jsonl",
        "clips",
        "answer.png",
        "answer.html",
        "answer.svg",
    }


@pytest.mark.parametrize("page", PAGES)
def test_what_is_marked_is_accepted_and_what_needs_the_weights_is_marked(page):
    for marked, language, code in blocks(page):
        if language != "console":
            continue
        assert marked or MARK not in code
        for arguments, _ in commands(code) if marked else ():
            assert parser_of(arguments[0]).parse_args(arguments[1:])


def test_no_page_is_forgotten():
    pages = {path.stem for path in DOCS.glob("*.md")}
    without_commands = {page for page in pages if not blocks(page)}
    assert pages == {*PAGES, *ELSEWHERE, *without_commands} & pages
    assert set(PAGES) <= pages


def test_every_command_on_the_other_pages_is_accepted():
    for page in sorted(ELSEWHERE):
        text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
        for line in re.findall(r"^(?:\$ )?(tempo [a-z].*)$", text, re.MULTILINE):
            verb, *arguments = shlex.split(line, comments=True)[1:]
            assert parser_of(verb).parse_args(arguments)
