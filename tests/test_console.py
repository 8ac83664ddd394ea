"""Progress bars are shown where somebody sees them, by default, and nowhere else."""

import contextlib
import os
import re
import sys

import numpy as np
import pytest

import tempo
from tempo.console import in_notebook, progress_bar


@pytest.fixture(scope="module")
def video():
    return tempo.Video.from_frames(np.zeros((16, 32, 32, 3), np.uint8), fps=2.0)


@contextlib.contextmanager
def terminal():
    """Let stderr be a terminal. Yields a function that returns what came there since its last call."""
    ours, theirs = os.openpty()
    os.set_blocking(ours, False)

    def written():
        text = b""
        with contextlib.suppress(BlockingIOError):
            while True:
                text += os.read(ours, 65536)
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.decode())

    with os.fdopen(theirs, "w", buffering=1) as screen, contextlib.redirect_stderr(screen):
        yield written
    os.close(ours)


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")


def test_watching_shows_a_bar_in_a_terminal(tiny, video):
    with terminal() as written:
        session = tiny.watch(video)
        shown = written()
        assert "watching" in shown
        assert "16 frames" in shown
        session.ask("What?", max_new_tokens=1)
        assert written() == ""  # what is cached is not watched again


def test_what_is_not_cached_shows_a_bar_with_each_question(tiny, video):
    with terminal() as written:
        session = tiny.watch(video, cache="none")
        assert written() == ""
        session.ask("What?", max_new_tokens=1)
        assert "watching" in written()


def test_none_and_functions_are_silent(tiny, video):
    told = []
    with terminal() as written:
        tiny.watch(video, progress=None)
        tiny.watch(video, progress=lambda *now: told.append(now))
        assert written() == ""
    assert told[-1] == (16, 16)


def test_without_a_terminal_nothing_is_written(tiny, video, capfd):
    tiny.watch(video).ask_many(["What?"], max_new_tokens=1)
    assert capfd.readouterr() == ("", "")
    assert not in_notebook()


def test_a_bar_goes_when_the_work_fails():
    def work():
        with progress_bar("working", "things") as move:
            move(1, 3)
            raise ValueError("no")

    with terminal() as written:
        with pytest.raises(ValueError, match="no"):
            work()
        assert "working" in written()
        print("next", file=sys.stderr)
        assert written().strip() == "next"
