"""`tempo synthetic bench` counts what is right by kind and by length, held to the truth beside the films."""

import json

import pytest

from tempo.cli.main import main
from tempo.synthetic.video_files import FileSpec, make_file


@pytest.fixture(scope="module")
def short_films(tmp_path_factory):
    """A folder with one film of ten seconds and two questions."""
    folder = tmp_path_factory.mktemp("short")
    spec = FileSpec(seconds=10, height=120, fps=5, held_out=True)
    make_file(folder / "b-000.mp4", spec, seed="bench-test", questions=2)
    return folder


def bench(capsys, *arguments):
    assert main(["synthetic", "bench", *map(str, arguments), "--device", "cpu", "--dtype", "float32"]) == 0
    return capsys.readouterr().out


def test_right_answers_by_kind_and_by_length(films, short_films, capsys):
    found = json.loads(bench(capsys, films, short_films, "--json"))
    truths = {
        (truth["video"], question["text"]): (truth["seconds"], question)
        for folder in (films, short_films)
        for truth in (json.loads(path.read_text()) for path in folder.glob("*.json"))
        for question in truth["questions"]
    }
    assert {(one["video"], one["question"]) for one in found["answers"]} == set(truths)
    for one in found["answers"]:
        seconds, question = truths[one["video"], one["question"]]
        assert (one["seconds"], one["kind"]) == (seconds, question["kind"])
        assert one["form"] == ("multiple choice" if question["options"] else "open")
        if question["kind"] != "when":
            assert one["right"] == (one["answer"] == question["answer"])
    assert {length: score["total"] for length, score in found["by_length"].items()} == {"10 s": 2, "30 s": 3}
    for groups in ("by_kind", "by_form", "by_length"):
        for count in ("right", "total"):
            assert sum(score[count] for score in found[groups].values()) == found["overall"][count]
    assert found["overall"]["right"] == sum(one["right"] for one in found["answers"]) > 0


def test_a_table_has_a_column_for_each_length(films, short_films, capsys):
    lines = bench(capsys, films, short_films).splitlines()
    assert lines[0] == "| kind | 10 s | 30 s | all |"
    (every,) = (line for line in lines if "| **all** |" in line)
    totals = [cell.split("/")[1].split(")")[0] for cell in every.split("|")[2:-1]]
    assert totals == ["2", "3", "5"]
    assert bench(capsys, films).splitlines()[0] == "| kind | 30 s |"


def test_a_wrong_answer_is_counted_as_wrong(short_films, tmp_path, capsys):
    """The same film with another truth: what was right no longer is."""
    (tmp_path / "b-000.mp4").write_bytes((short_films / "b-000.mp4").read_bytes())
    truth = json.loads((short_films / "b-000.json").read_text())
    for question in truth["questions"]:
        question["answer"] = "nothing of the kind"
    (tmp_path / "b-000.json").write_text(json.dumps(truth))
    found = json.loads(bench(capsys, tmp_path, "--json"))
    assert (found["overall"]["right"], found["overall"]["total"]) == (0, 2)


def test_a_folder_without_films_is_named(films, tmp_path, capsys):
    assert main(["synthetic", "bench", str(films), str(tmp_path)]) == 1
    assert f"{tmp_path}: no generated videos" in capsys.readouterr().err
