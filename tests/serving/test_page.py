"""The page about serving does what it says, as it stands: only the address and the film are other ones."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tempo.cli.main import main, parser_of

from .conftest import Served

PAGE = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
CONSOLE = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
(PYTHON,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def here(folder):
    """The page's server, without a key as there; turns a text of the page into one for this machine."""
    (call,) = re.findall(r"^(tempo serve .*)$", "".join(CONSOLE), re.MULTILINE)
    options = shlex.split(call.replace("/videos", str(folder)))[2:]
    assert parser_of("serve").parse_args(options)
    server = Served(*options, key=None)
    film = folder / "meeting.mp4"
    film.symlink_to(folder / "0.mp4")

    def turned(text):
        text = re.sub(r"(?:/videos/|(?<![\w/]))meeting\.mp4", str(film), text)
        return text.replace("http://127.0.0.1:8000", server.url)

    yield turned
    film.unlink()
    assert server.close() == 0


def test_the_example_answers(here, capsys):
    exec(compile(here(PYTHON), "serving.md", "exec"), {})
    said = capsys.readouterr().out.strip()
    assert said.endswith("]")
    assert len(said) > len("[]")


def test_curl_gets_what_the_page_promises(here):
    calls = [block for block in CONSOLE if block.startswith("curl")]
    assert len(calls) == 4
    answer, stream, sent, moments = (
        subprocess.run(["bash", "-ec", here(call)], capture_output=True, text=True, check=True).stdout
        for call in calls
    )
    text = json.loads(answer)["choices"][0]["message"]["content"]
    chunks = [line.removeprefix("data: ") for line in stream.splitlines() if line]
    assert chunks.pop() == "[DONE]"
    deltas = [json.loads(chunk)["choices"][0]["delta"] for chunk in chunks]
    assert "".join(delta.get("content", "") for delta in deltas) == text
    assert json.loads(sent)["id"].startswith("file-")
    assert json.loads(moments)["object"] == "list"


def test_the_command_line_asks(here, capsys):
    (call,) = re.findall(r"^(tempo ask .*)$", "".join(CONSOLE), re.MULTILINE)
    assert main(shlex.split(here(call))[1:]) == 0
    assert capsys.readouterr().out
