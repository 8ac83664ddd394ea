"""A run of the ablations: its figures recomputed by hand, and what is left of one that was stopped."""

import json
import re

import pytest

from research.ablations.__main__ import main
from research.ablations.records import Answered
from research.ablations.run import run
from research.ablations.tables import tables
from research.ablations.variants import every_variant
from tempo.errors import TempoError
from tempo.synthetic.answer_scoring import is_correct

VARIANTS = every_variant(16)


def record(kind, rights, *, tokens=100, cap=1024):
    """A question that every variant answers wrong, but for those of `rights`."""
    answers = {
        variant.name: {"text": "", "right": variant.name in rights, "tokens": tokens, "cap": cap}
        for variant in VARIANTS
    }
    return {"kind": kind, "rank": 0.0, "segments": 128, "answers": answers}


def rows(made, title):
    return {row[0]: row for table in made if table.title == title for row in table.rows}


def test_figures_are_those_that_one_counts_by_hand():
    records = [
        *[record("colour", {"adaptive", "adaptive, without times"}, tokens=150)] * 6,
        *[record("when", {"adaptive", "uniform"}, tokens=250)] * 3,
        record("when", {"uniform"}),
    ]
    made = tables(records, k_max=16, segment_frames=8)
    allocation = rows(made, "Adaptive allocation at the model's own budget")
    # Nine of ten; Wilson's interval of 9/10 is (0.596, 0.982).
    assert allocation["adaptive"][2:] == ["90.0 [59.6, 98.2]", "–", "–", "–"]
    assert allocation["adaptive"][1].startswith("175 [")
    uniform = allocation["uniform, the same cap"]
    assert uniform[2].startswith("40.0 [")
    assert uniform[3].startswith("-50.0 [")
    # Six lost, one gained: two-sided p of seven coins, 2 · (1 + 7) / 128.
    assert uniform[4:] == ["1 / 6", "0.125"]
    times = rows(made, "Timestamps in the storyline")
    assert times["when"][1] == "4"
    assert [cell.split(" [")[0] for cell in times["when"][2:5]] == ["75.0", "0.0", "-75.0"]
    assert times["the others"][4] == "+0.0 [+0.0, +0.0]"
    assert times["first"][1:] == ["0", "–", "–", "–", "–", "–"]


def test_budgets_are_told_in_published_tokens_a_frame():
    made = tables([record("colour", ()), record("shape", ())], k_max=16, segment_frames=8)
    budgets = rows(made, "Right answers over budgets")
    assert [row[:3] for row in budgets.values()] == [
        ["0.0625", "1", "0.125"],
        ["0.125", "2", "0.25"],
        ["0.25", "4", "0.5"],
        ["0.5", "8", "1"],
        ["1", "16", "2"],
    ]


def test_a_run_goes_on_after_it_was_stopped_and_reports_only_whole_ones(nano, films, tmp_path, monkeypatch):
    out = tmp_path / "out"
    first = films / "a-000"
    two = tmp_path / "two"
    two.mkdir()
    for name in ("a-000", "b-000"):
        for suffix in (".mp4", ".json"):
            (two / name).with_suffix(suffix).write_bytes(first.with_suffix(suffix).read_bytes())
    whole = (two / "b-000.mp4").read_bytes()
    (two / "b-000.mp4").write_bytes(b"no film")
    options = {"model_hash": "x", "questions": 1, "conditions": []}
    with pytest.raises(TempoError, match=r"b-000\.mp4"):
        run(nano, two, out, **options)
    assert sorted(path.name for path in out.rglob("*.*")) == ["a-000.json"]
    (two / "b-000.mp4").write_bytes(whole)
    done = (out / "answers" / "a-000.json").stat().st_mtime_ns
    text = run(nano, two, out, **options)
    assert (out / "answers" / "a-000.json").stat().st_mtime_ns == done
    assert (out / "ablations.md").read_text() == text
    assert "2 questions about 2 videos." in text
    # From what is on the disk the same report comes again, with nothing asked.
    monkeypatch.setattr(nano, "prompts", None)
    assert run(nano, two, out, **options) == text


def test_answers_of_something_else_are_never_counted(films, tmp_path):
    film = films / "a-000.json"
    answered = Answered(tmp_path / "answers", [film], {"model": "one"})
    assert answered.read(film) is None
    answered.write(film, [{"kind": "colour"}])
    assert answered.read(film) == [{"kind": "colour"}]
    with pytest.raises(TempoError, match="another model, one, and this is two"):
        Answered(tmp_path / "answers", [film], {"model": "two"}).read(film)
    with pytest.raises(TempoError, match="not among these"):
        Answered(tmp_path / "answers", [], {"model": "one"})
    (tmp_path / "answers" / "a-000.json").write_text("{")
    with pytest.raises(TempoError, match="not answers"):
        answered.read(film)


@pytest.mark.slow
def test_the_command_writes_tables_and_every_answer(films, tmp_path, capsys):
    out = tmp_path / "out"
    assert main([str(films), "--out", str(out), "--questions", "2"]) == 0
    printed = capsys.readouterr().out
    assert (out / "ablations.md").read_text().strip() == printed.strip()
    assert len(re.findall(r"^## ", printed, re.MULTILINE)) == 8
    kept = json.loads((out / "answers" / "a-000.json").read_text())
    truth = json.loads((films / "a-000.json").read_text())["questions"]
    assert len(kept["records"]) == 2
    for one, question in zip(kept["records"], truth, strict=False):
        assert one["question"] == question["text"]
        assert set(one["answers"]) == {variant.name for variant in VARIANTS}
        for answer in one["answers"].values():
            assert answer["right"] == is_correct(question, answer["text"], window=4.0)
            assert answer["tokens"] <= answer["cap"]
    values = json.loads((out / "ablations.json").read_text())
    assert len(values["tables"]) == 8
    assert values["made_with"]["questions"] == 2
