"""The plugin in lmms-eval as it is installed: its prompts, its scoring, on miniatures of all benchmarks."""

import json
import subprocess

import pytest

from tempo.cli.main import main
from tempo.errors import TempoError
from tempo.evaluation.benchmarks import BENCHMARKS, LOCAL
from tempo.evaluation.environment import find
from tempo.evaluation.item_log import read_records
from tempo.evaluation.letters import letter_of
from tempo.evaluation.miniature import render_videos, write_releases
from tempo.evaluation.run_results import read_run

# A start of lmms-eval alone takes ten seconds, and many times that beside other work.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

FILMS, QUESTIONS = 2, 6
ITEMS = FILMS * QUESTIONS
MODEL = ["--dtype", "float32", "--device", "cpu"]

AS_PARQUET = """
import json, sys, pathlib, pyarrow, pyarrow.parquet
source = pathlib.Path(sys.argv[1])
rows = [json.loads(line) for line in source.read_text().splitlines()]
pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), source.with_name("test-00000-of-00001.parquet"))
source.unlink()
"""


@pytest.fixture(scope="module")
def environment():
    try:
        return find()
    except TempoError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def data(environment, tmp_path_factory):
    """All four releases of the same two films; Video-MME's annotations as Parquet, as they are published."""
    folder = tmp_path_factory.mktemp("benchmarks")
    films = render_videos(folder / "films", count=FILMS, questions=QUESTIONS, seconds=8.0)
    assert [len(film.questions) for film in films] == [QUESTIONS] * FILMS
    write_releases(folder / "data", films)
    source = folder / "data" / "Video-MME" / "videomme" / "test.jsonl"
    subprocess.run([environment.python, "-c", AS_PARQUET, str(source)], check=True)
    return folder / "data"


def evaluate(environment, *arguments):
    return main(["eval", *map(str, arguments), *MODEL, "--python", environment.python])


@pytest.fixture(scope="module")
def grouped(environment, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("grouped") / "run"
    assert evaluate(environment, "all", "--data", data, "--out", folder, "--budget", 256) == 0
    return folder


def test_every_item_is_answered_and_scored_by_lmms_eval(grouped):
    run = read_run(grouped)
    assert list(run.tasks) == list(BENCHMARKS)
    for task in run.tasks.values():
        assert len(task.items) == ITEMS
        for item in task.items:
            about = item.record.about
            truth = about["answer"] if "answer" in about else "ABCDE"[about["correct_choice"]]
            assert item.outcome != "error", item.record.error
            assert item.right == (letter_of(item.record.text, "ABCDE") == truth), item.record.text
            assert 0 < item.record.visual_tokens <= 256


def test_the_prompts_are_lmms_evals(grouped):
    first = {task: one.items[0].record.question for task, one in read_run(grouped).tasks.items()}
    assert first["videomme"].startswith("Select the best answer to the following multiple-choice question")
    assert first["mlvu_dev"].endswith("\nOnly give the best option.\nBest option: (")
    assert first["lvbench"].endswith("\nAnswer the question with the option letter")
    assert first["longvideobench_val_v"].endswith(
        "Answer with the option's letter from the given choices directly.\n"
    )


def test_the_manifest_says_how_it_was_run(grouped):
    values = json.loads((grouped / "manifest.json").read_text())
    assert values["settings"]["budget"] == 256
    assert values["settings"]["min_frames"] == 8
    assert values["errors"] == 0
    assert values["finished"]
    worker = values["worker"]
    assert len(worker["model_hash"]) == 64
    assert worker["dtype"] == "float32"
    assert worker["versions"]["lmms-eval"] == values["lmms_eval"]
    assert worker["decoder"].startswith("PyAV")
    assert {path.name for path in grouped.glob("report.*")} == {"report.md", "report.html", "report.json"}


def test_alone_and_in_two_processes_all_is_the_same_but_the_work(environment, data, grouped, tmp_path):
    folder = tmp_path / "alone"
    call = ["all", "--data", data, "--out", folder, "--budget", 256, "--no-group", "--processes", 2]
    assert evaluate(environment, *call) == 0
    together, alone = read_records(grouped), read_records(folder)
    assert together.keys() == alone.keys()
    for key, record in together.items():
        other = alone[key]
        assert (record.text, record.visual_tokens) == (other.text, other.visual_tokens)
    assert all(record.seconds["watch"] > 0 for record in alone.values())
    watched = [key for key, record in together.items() if record.seconds["watch"] > 0]
    videos = {record.video for record in together.values()}
    assert len(watched) == len(videos) < len(together)
    # Both processes answered, and the questions of a video went to one of them.
    shares = [
        {json.loads(line)["video"] for line in path.read_text().splitlines()}
        for path in sorted(folder.glob("answers-*.jsonl"))
    ]
    assert len(shares) == 2
    assert not shares[0] & shares[1]
    assert main(["eval", "report", str(grouped), str(folder), "--out", str(tmp_path / "both")]) == 0


def test_what_cannot_be_read_is_an_error_and_a_run_goes_on(environment, data, tmp_path, capsys):
    video = data / "LVBench" / "all_videos" / "video0.mp4"
    whole = video.read_bytes()
    video.unlink()
    folder = tmp_path / "run"
    call = ["lvbench", "--data", data, "--out", folder]
    # Missing: refused before anything runs.
    assert evaluate(environment, *call) == 1
    assert (
        f"missing videos: 1, for {QUESTIONS} questions: {data / 'LVBench' / video.name};"
        in capsys.readouterr().err
    )
    assert not (folder / "lmms-eval").exists()
    # Damaged: found out by watching. As many errors as are allowed: the rest is answered and scored.
    video.write_bytes(b"no video at all" * 100)
    assert evaluate(environment, *call, "--max-errors", QUESTIONS) == 0
    task = read_run(folder).tasks["lvbench"]
    assert [item.outcome == "error" for item in task.items] == [True] * QUESTIONS + [False] * QUESTIONS
    assert f"| LVBench | {QUESTIONS} | " in capsys.readouterr().out
    # Mended: only what failed is asked again.
    before = read_records(folder)
    video.write_bytes(whole)
    assert evaluate(environment, *call) == 0
    after = read_records(folder)
    assert all(record.error is None for record in after.values())
    for number in range(QUESTIONS, ITEMS):
        assert after["lvbench" + LOCAL, number] == before["lvbench" + LOCAL, number]
