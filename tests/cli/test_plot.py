"""`tempo ask --plot`: a picture beside the answer, or one line before anything is watched."""

import pytest
from PIL import Image

from .conftest import TINY

QUESTION = "What colour is the square?"
TINY_MODEL = ("--model", TINY, "--dtype", "float32", "--max-new-tokens", "4")


@pytest.mark.parametrize("ending", ["png", "html"])
@pytest.mark.slow
def test_plot_is_written_beside_the_answer(tempo, clip, tmp_path, ending):
    path = tmp_path / f"plot.{ending}"
    done = tempo("ask", clip, QUESTION, *TINY_MODEL, "--quiet", "--plot", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    if ending == "png":
        with Image.open(path) as image:
            assert image.size[0] == 1920
        return
    text = path.read_text(encoding="utf-8")
    assert QUESTION in text
    assert text.count('class="segment"') == 2
    assert "data:image/jpeg;base64," in text


@pytest.mark.parametrize(("name", "status"), [("plot.pdf", 2), ("nowhere/plot.png", 1), ("folder.png", 1)])
def test_a_plot_that_cannot_be_written_is_known_at_once(fails, clip, tmp_path, name, status):
    (tmp_path / "folder.png").mkdir()
    # No such model either: it is not even looked for.
    message = fails("ask", clip, QUESTION, "--model", "nosuch", "--plot", tmp_path / name, status=status)
    assert name in message
