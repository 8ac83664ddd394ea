"""`tempo chat`: piped questions, the commands, and a terminal of its own."""

import fcntl
import json
import os
import pty
import shutil
import subprocess
import sys
import termios
import time

import pytest

from .conftest import TINY, environment

TINY_MODEL = ("--model", TINY, "--dtype", "float32", "--device", "cpu")


def chat(tmp_path, *arguments, lines):
    return subprocess.run(
        [sys.executable, "-m", "tempo", "chat", *map(str, (*TINY_MODEL, *arguments))],
        env=environment(tmp_path),
        input=lines if isinstance(lines, bytes) else "\n".join(lines).encode(),
        capture_output=True,
        timeout=500,
        check=False,
    )


@pytest.mark.slow
def test_piped_questions_are_answered_in_turn_and_commands_obeyed(clip, tmp_path):
    plot = tmp_path / "answer.svg"
    lines = [
        "/moments",
        "What colour is the square?",
        "/moments 1",
        f"/save {plot}",
        f"/save {tmp_path}/answer.pdf",
        "/budget 12",
        "/budget none",
        "/dance",
        "",
        "And the circle?",
        "/quit",
        "this is not asked any more",
    ]
    done = chat(tmp_path, clip, "--max-new-tokens", "4", lines=lines)
    said, output = done.stderr.decode(), done.stdout.decode()
    # Without a terminal every line that came to nothing makes the whole a failure.
    assert done.returncode == 1
    assert [line.split(":")[0] for line in said.splitlines()] == ["tempo"] * 4
    for line, words in zip(
        said.splitlines(), ("no answer yet", "answer.pdf", "/budget must be", "/dance"), strict=True
    ):
        assert words in line
    assert "\x1b" not in output
    assert output.count("relevance") == 1
    assert "00:06" in output
    assert "budget 12 tokens" in output
    assert "What colour is the square?" in plot.read_text(encoding="utf-8")
    assert "tempo" not in output


@pytest.mark.slow
def test_the_end_of_the_input_is_the_end(clip, tmp_path):
    done = chat(tmp_path, clip, "--max-new-tokens", "4", lines=b"/help\n/budget\nWhat is \xff this?")
    assert (done.returncode, done.stderr) == (0, b"")
    first, *rest = done.stdout.decode().splitlines()
    assert "/budget" in first
    assert len(rest) >= 5
    assert "budget 8192 tokens" in rest


@pytest.mark.slow
def test_a_full_conversation_can_begin_anew(clip, tmp_path):
    model = tmp_path / "tiny" / "tempo-tiny"
    shutil.copytree(TINY, model)
    shutil.copytree(TINY.parent / "qwen3-vl-tiny", model.parent / "qwen3-vl-tiny")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 400}))
    options = (clip, "--max-new-tokens", "2", "--budget", "8", "--model", model)
    lines = [*["What is it? " * 16] * 5, "/clear", "What?"]
    done = chat(tmp_path, *options, lines=lines)
    said = done.stderr.decode().splitlines()
    assert done.returncode == 1
    assert said
    assert all("the conversation is full" in line and "/clear" in line for line in said)
    output = done.stdout.decode().splitlines()
    assert "started a new conversation" in output
    assert len(output) > output.index("started a new conversation") + 1, "and what is asked then is answered"
    done = chat(tmp_path, *options, "--keep-turns", "1", lines=lines[:5])
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_video_that_cannot_be_watched(fails, tmp_path):
    assert "missing.mp4" in fails("chat", tmp_path / "missing.mp4", *TINY_MODEL)


class Terminal:
    """A process at a terminal of its own."""

    def __init__(self, tmp_path, *arguments):
        self.ours, theirs = pty.openpty()

        def take_terminal():
            os.setsid()
            fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [sys.executable, "-m", "tempo", *map(str, arguments)],
            env=environment(tmp_path, TERM="xterm"),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            preexec_fn=take_terminal,
        )
        os.close(theirs)
        os.set_blocking(self.ours, False)
        self.seen = ""

    def wait_for(self, text, timeout=400):
        """Read until TEXT comes; return what came up to and with it."""
        deadline = time.monotonic() + timeout
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            try:
                self.seen += os.read(self.ours, 4096).decode(errors="replace")
            except BlockingIOError:  # nothing new
                time.sleep(0.01)
            except OSError:  # it has ended
                assert text in self.seen, self.seen
        came, _, self.seen = self.seen.partition(text)
        return came + text

    def type(self, text):
        os.write(self.ours, text.encode())


@pytest.mark.slow
def test_at_a_terminal_ctrl_c_stops_the_answer_and_ctrl_d_ends(clip, tmp_path):
    terminal = Terminal(tmp_path, "chat", clip, *TINY_MODEL, "--max-new-tokens", "12000")
    assert "Ask a question, or type /help." in terminal.wait_for("> ")
    terminal.type("What colour is the square?\n")
    terminal.wait_for("square?\r\n")
    terminal.wait_for("\x1b")  # the bar that moves until the first word; the answer would take minutes
    time.sleep(0.5)
    terminal.type("\x03")
    terminal.wait_for("\r\n> ")
    terminal.type("/moments\n")
    said = terminal.wait_for("\r\n> ")
    assert "there is no answer yet" in said, "an interrupted answer is none"
    terminal.type("\x04")
    assert terminal.process.wait(60) == 0
    os.close(terminal.ours)
