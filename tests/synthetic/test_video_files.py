"""Generated files, read back with PyAV."""

import json
from pathlib import Path

import av
import numpy as np
import pytest

from tempo.errors import UsageError
from tempo.synthetic.answer_scoring import evidence_rank, is_correct
from tempo.synthetic.video_files import FileSpec, make_file
from tempo.synthetic.vocabulary import COLOURS


@pytest.mark.parametrize(
    ("aspect", "size"), [("16:9", (426, 240)), ("4:3", (320, 240)), ("9:16", (240, 426))]
)
def test_files_are_h264_and_show_what_their_truth_says(
    tmp_path: Path, aspect: str, size: tuple[int, int]
) -> None:
    path = tmp_path / "clip.mp4"
    make_file(path, FileSpec(seconds=8, height=240, fps=10, aspect=aspect), seed="a", questions=6)
    truth = json.loads(path.with_suffix(".json").read_text())
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert (stream.width, stream.height) == size
        frames = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(stream)]
    assert len(frames) == 80
    short = min(size)
    checked = 0
    for time, picture in frames[::7]:
        for scene in truth["scenes"]:
            if len(scene["things"]) != 1 or not scene["start"] <= time < scene["end"]:
                continue
            thing = scene["things"][0]
            if (
                thing["shape"] not in ("circle", "square", "diamond")
                or not thing["start"] <= time < thing["end"]
            ):
                continue
            share = (time - scene["start"]) / (scene["end"] - scene["start"])
            x0, y0, x1, y1 = thing["path"]
            x, y = int((x0 + (x1 - x0) * share) * short), int((y0 + (y1 - y0) * share) * short)
            nearest = min(COLOURS, key=lambda c: np.abs(picture[y, x].astype(int) - COLOURS[c]).sum())
            assert nearest == thing["colour"]
            checked += 1
    assert len(truth["questions"]) >= 4
    assert checked or all(len(s["things"]) != 1 for s in truth["scenes"])


def test_sizes_that_make_no_sense_are_refused() -> None:
    for wrong in ({"seconds": 0}, {"seconds": 5, "height": 10}, {"seconds": 5, "aspect": "1:1"}):
        with pytest.raises(UsageError):
            FileSpec(**wrong)


def test_scoring_is_strict() -> None:
    colour = {"kind": "colour", "answer": "red", "options": []}
    assert is_correct(colour, "Red.", window=4)
    assert not is_correct(colour, "red or blue", window=4)
    assert not is_correct(colour, "", window=4)
    when = {"kind": "when", "answer": "61.0 seconds", "seconds": 61.0, "options": []}
    assert is_correct(when, "58.0 seconds", window=4)
    assert not is_correct(when, "56.0 seconds", window=4)
    assert not is_correct(when, "no idea", window=4)


def test_evidence_rank_is_the_place_of_the_right_segment() -> None:
    spans = [(4.0 * i, 4.0 * i + 4) for i in range(10)]
    question = {"evidence": [[13.0, 15.0]]}
    assert evidence_rank(question, spans, [0.1] * 3 + [0.9] + [0.1] * 6) == 0
    assert evidence_rank(question, spans, [0.5, 0.4, 0.3, 0.35] + [0.1] * 6) == 0.2
