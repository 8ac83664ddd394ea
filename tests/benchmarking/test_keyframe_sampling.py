"""What sampling at keyframes saves and costs, measured on short videos."""

import json
from itertools import pairwise
from pathlib import Path

import av
import pytest

from tempo.benchmarking import keyframe_sampling
from tempo.benchmarking.videos import rendered
from tempo.synthetic.video_files import FileSpec, make_file


def keyframes(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [
            float(packet.pts * packet.time_base) for packet in container.demux(stream) if packet.is_keyframe
        ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keyframes")
    spec = FileSpec(seconds=24, height=120, fps=6, keyframe_seconds=2)
    make_file(folder / "0.mp4", spec, seed="keyframes", questions=4)
    return folder


def test_a_video_with_keyframes_as_often_as_asked_for(folder, tmp_path):
    times = keyframes(folder / "0.mp4")
    assert max(after - before for before, after in pairwise(times)) <= 2.0
    assert rendered(tmp_path, 0.05, 120, keyframe_seconds=2.0) != rendered(tmp_path, 0.05, 120)


def test_a_row_says_how_many_samples_are_keyframes_and_what_it_took(nano, folder):
    table = keyframe_sampling.time_table(nano, {"short": str(folder / "0.mp4")}, rounds=1, max_frames=8)
    (name, count, whole, exact, at_keyframes, *ratios), *rest = table.rows
    assert (name, rest) == ("short", [])
    taken, of = map(int, count.split(" of "))
    assert of == 8
    assert 4 <= taken <= 8
    assert all(float(value) > 0 for value in (whole, exact, at_keyframes, *ratios))


def test_right_answers_are_compared_question_by_question(nano, folder):
    table = keyframe_sampling.answer_table(nano, [folder], max_frames=8)
    assert [row[0] for row in table.rows] == ["exact", "keyframes", "keyframes − exact"]
    asked = len(json.loads((folder / "0.json").read_text())["questions"])
    assert all(row[1].endswith(f"/{asked})") for row in table.rows[:2])
    assert "points" in table.rows[2][1]
