"""`tempo moments`: the same relevance as an answer's, as a table, as JSON, and as files."""

import json

import pytest
from PIL import Image

from .conftest import TINY

TINY_MODEL = ("--model", TINY, "--dtype", "float32")
WHAT = "What colour is the square?"


@pytest.mark.slow
def test_moments_are_those_of_an_answer_and_can_be_cut_out(tempo, clip, tmp_path):
    done = tempo("moments", clip, WHAT, *TINY_MODEL, "--json", "--clips", tmp_path / "new" / "clips")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    asked = json.loads(tempo("ask", clip, WHAT, *TINY_MODEL, "--json", "--max-new-tokens", "1").stdout)
    assert found["what"] == WHAT
    assert found["model"] == str(TINY)
    assert found["video"]["path"] == str(clip)
    for mine, theirs in zip(found["segments"], asked["segments"], strict=True):
        assert mine["relevance"] == pytest.approx(theirs["relevance"], abs=1e-6)
    best = max(asked["segments"], key=lambda segment: segment["relevance"])
    first = found["moments"][0]
    assert first["relevance"] == pytest.approx(best["relevance"], abs=1e-6)
    assert first["start"] <= best["start"] < best["end"] <= first["end"]
    assert first["start"] <= first["peak"] <= first["end"]
    for moment in found["moments"]:
        assert moment["clip"]["copied"]
        assert moment["clip"]["start"] <= moment["start"]
    assert sorted(str(path) for path in (tmp_path / "new" / "clips").iterdir()) == sorted(
        moment["clip"]["path"] for moment in found["moments"]
    )


@pytest.mark.slow
def test_the_table_and_a_threshold_that_nothing_reaches(tempo, fails, clip):
    done = tempo("moments", clip, WHAT, *TINY_MODEL, "--at-least", "0", "--count", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "00:00–00:06" in done.stdout
    assert done.stdout.count("00:") == 2
    assert "relevance of 1" in fails("moments", clip, WHAT, *TINY_MODEL, "--at-least", "1")


@pytest.mark.parametrize(
    ("option", "value"), [("--at-least", "2"), ("--at-least", "nan"), ("--count", "0"), ("--budget", "3")]
)
def test_wrong_usage(fails, option, value):
    assert option in fails("moments", "a.mp4", WHAT, option, value, status=2)


def test_clips_that_cannot_be_made_are_known_at_once(fails, clip, tmp_path):
    still = tmp_path / "still.png"
    Image.new("RGB", (64, 64)).save(still)
    assert "still image" in fails("moments", still, WHAT, "--model", "nosuch", "--clips", tmp_path / "clips")
    assert str(still) in fails("moments", clip, WHAT, "--model", "nosuch", "--clips", still)
