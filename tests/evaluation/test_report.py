"""Figures of a run, recomputed by hand, and the report in its three forms."""

import json
import math
import re
import xml.etree.ElementTree as ElementTree

import pytest

from evaluation_runs import write_run
from tempo.errors import TempoError
from tempo.evaluation import manifest
from tempo.evaluation.plots import figures
from tempo.evaluation.report import (
    data,
    markdown,
    page,
    verdicts,
    write,
)
from tempo.evaluation.run_results import read_run
from tempo.evaluation.settings import Settings
from tempo.evaluation.summary import Accuracy, summarise
from tempo.reporting.charts import BarValue, Series, bar_chart
from tempo.reporting.plot.svg import to_svg
from tempo.reporting.report_files import to_json


@pytest.fixture
def run(tmp_path):
    return read_run(write_run(tmp_path / "mine"))


def test_scores_are_of_the_answered_items_and_guess_nothing(run):
    one = summarise(run, run.tasks["videomme"])
    assert (one.shares.right, one.shares.total) == (3, 5)
    assert one.score == pytest.approx(60.0)
    assert one.no_letter == 1
    assert one.errors == [("gone.mp4: no such file; check the path", 1)]
    assert one.groups == [("short", Accuracy(1, 2)), ("medium", Accuracy(1, 1)), ("long", Accuracy(1, 2))]
    assert one.durations == [
        ("under 1 min", Accuracy(1, 2)),
        ("3–10 min", Accuracy(1, 1)),
        ("20–60 min", Accuracy(1, 2)),
    ]


def test_tokens_and_seconds(run):
    one = summarise(run, run.tasks["videomme"])
    assert one.per_frame == pytest.approx((2 + 3 + 2 + 4 + 4) / 5)
    assert one.tokens == pytest.approx((200 + 300 + 2000 + 4096 + 4096) / 5)
    assert one.seconds == pytest.approx(10.0)
    assert one.videos == 3


def test_mlvu_is_the_mean_over_its_categories(run):
    one = summarise(run, run.tasks["mlvu_dev"])
    assert one.score == pytest.approx((200 / 3 + 100) / 2)
    assert one.shares == Accuracy(3, 4)


def test_the_published_score_is_that_of_the_same_budget(tmp_path):
    published = {}
    for budget in (4096, 8192, 5000):
        run = read_run(write_run(tmp_path / str(budget), budget=budget))
        one = summarise(run, run.tasks["videomme"])
        published[budget] = one.published and (one.published.score, one.published.tokens)
        assert one.comparable == (budget != 5000)
    assert published == {4096: (67.8, 3.6), 8192: (67.7, 4.3), 5000: None}
    part = read_run(write_run(tmp_path / "part", limit=10))
    assert not summarise(part, part.tasks["videomme"]).comparable


def test_intervals():
    # Wilson's, for 8 of 10 and 0 of 10, from the textbook formula: (0.490, 0.943) and (0, 0.278).
    assert Accuracy(8, 10).margin == pytest.approx(100 * (0.9433 - 0.4902) / 2, abs=0.05)
    assert Accuracy(0, 10).margin == pytest.approx(100 * 0.2775 / 2, abs=0.05)
    assert math.isnan(Accuracy(0, 0).score)


def test_the_report_says_all_of_it(run):
    text = markdown([run])
    assert "| Video-MME (no subtitles) | 60.0 ± " in text
    assert "| MLVU (dev) | 83.3 ± " in text
    assert "67.7" in text
    assert "gone.mp4: no such file" in text
    assert "| short | 50.0 (1/2) |" in text
    assert "Blue" not in text
    # A task that is none of the four has lmms-eval's figure, as it is.
    assert "| other: anls | 0.5 |" in text
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")


def test_a_report_begins_with_what_the_run_came_to(run, tmp_path):
    assert markdown([run]).splitlines()[2].startswith("Finished with errors: ")
    assert "<p>Finished with errors: " in page([run])
    few = read_run(write_run(tmp_path / "few", limit=10))
    few.manifest["limit"] = 10
    answered = [item for task in run.tasks.values() for item in task.items if item.answered]
    right = sum(item.right for item in answered)
    (line,) = verdicts([few])
    assert line == f"It does not run well here: {len(answered)} answered, 1 errors, {right} right."


def test_runs_stand_side_by_side(tmp_path):
    runs = [
        read_run(write_run(tmp_path / name, budget=budget)) for name, budget in (("a", 4096), ("b", 8192))
    ]
    text = markdown(runs)
    assert "| benchmark | a | b | published |" in text
    assert "67.7 / 67.8" in text


def test_the_page_is_whole_and_fetches_nothing(run):
    text = page([run])
    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(drawings) >= 4
    for drawing in drawings:
        ElementTree.fromstring(drawing)
    assert not re.search(r'(?:src|href)="(?!#)', text)
    assert not re.search(r"https?:", text.replace("http://www.w3.org/2000/svg", ""))
    assert "accuracy against duration" in text


def test_the_data_hold_the_same_figures(run):
    values = json.loads(to_json(data([run])))
    assert values["tasks"]["videomme"]["mine"]["score"] == pytest.approx(60.0)
    assert values["tasks"]["other"]["mine"]["score"] is None
    assert values["runs"]["mine"]["settings"]["budget"] == 8192


def test_three_files_are_written(run, tmp_path):
    paths = write([run], tmp_path / "out")
    assert [path.name for path in paths] == ["report.md", "report.html", "report.json"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(p.name for p in paths)


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(TempoError, match="name the folder of a"):
        read_run(tmp_path)
    manifest.begin(tmp_path / "begun", {"settings": {}})
    with pytest.raises(TempoError, match="not finished"):
        read_run(tmp_path / "begun")


def test_a_bar_is_as_high_as_its_value():
    series = [
        Series("a", [BarValue(25.0), BarValue(math.nan)], "#111111"),
        Series("b", [BarValue(100.0), BarValue(50.0)], "#222222"),
    ]
    root = ElementTree.fromstring(to_svg(bar_chart("t", ["x", "y"], series)))
    heights = {}
    for box in root.iter("{http://www.w3.org/2000/svg}rect"):
        hint = box.find("{http://www.w3.org/2000/svg}title")
        if hint is not None:
            heights[hint.text] = float(box.get("height"))
    full = heights["b: 100"]
    assert heights == {"a: 25": pytest.approx(full / 4), "b: 100": full, "b: 50": pytest.approx(full / 2)}


def test_manifests_hold_a_run_to_its_beginning(tmp_path):
    values = {"tasks": ["lvbench"], "settings": Settings(budget=4096).to_json(), "seed": 0}
    assert manifest.begin(tmp_path, values) is False
    assert manifest.begin(tmp_path, values) is True
    assert len(manifest.read(tmp_path)["begun"]) == 2
    other = {**values, "settings": Settings(budget=8192).to_json()}
    with pytest.raises(TempoError, match="budget=4096, not budget=8192"):
        manifest.begin(tmp_path, other)
    manifest.finish(tmp_path, errors=0)
    assert manifest.read(tmp_path)["finished"]


def test_a_manifest_that_is_damaged(tmp_path):
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(TempoError, match=r"manifest\.json"):
        manifest.read(tmp_path)


def test_a_single_bar_is_no_chart(tmp_path):
    """One benchmark, one run and no published figure beside it: the table has the number."""
    one = read_run(write_run(tmp_path / "one", budget=1000))
    for name in ("videomme", "other"):
        del one.tasks[name]
    titles = [figure.title for figure in figures([one])]
    assert "Correct answers, percent" not in titles
    assert any("by group" in title for title in titles)  # two bars
    assert not any("against duration" in title for title in titles)  # one length
