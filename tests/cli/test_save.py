"""`tempo ask --save`: files beside the answer, or one line before anything is watched."""

import json

import pytest
from PIL import Image

from .conftest import TINY

QUESTION = "What colour is the square?"
TINY_MODEL = ("--model", TINY, "--dtype", "float32", "--max-new-tokens", "4")


@pytest.mark.slow
def test_files_are_written_beside_the_answer(tempo, clip, tmp_path):
    paths = [tmp_path / f"answer{ending}" for ending in (".png", ".html", ".srt", ".txt", ".json")]
    saves = [argument for path in paths for argument in ("--save", path)]
    done = tempo("ask", clip, QUESTION, *TINY_MODEL, "--quiet", *saves)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    with Image.open(paths[0]) as image:
        assert image.size[0] == 1920
    page, cues, words, values = (path.read_text(encoding="utf-8") for path in paths[1:])
    assert QUESTION in page
    assert page.count('class="segment"') == 2
    assert "data:image/jpeg;base64," in page
    assert "-->" in cues
    assert words.startswith(QUESTION)
    assert json.loads(values)["question"] == QUESTION


@pytest.mark.parametrize(("name", "status"), [("answer.pdf", 2), ("no/answer.srt", 1), ("folder.png", 1)])
def test_a_file_that_cannot_be_written_is_known_at_once(fails, clip, tmp_path, name, status):
    (tmp_path / "folder.png").mkdir()
    # No such model either: it is not even looked for.
    message = fails("ask", clip, QUESTION, "--model", "nosuch", "--save", tmp_path / name, status=status)
    assert name in message
