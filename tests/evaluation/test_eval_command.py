"""`tempo eval`: what it refuses before anything runs, and where it looks for lmms-eval."""

import json
import os
import re
import shlex
import sys
import time
from pathlib import Path

import pytest

from evaluation_runs import write_run
from tempo.cli.main import main, parser_of
from tempo.errors import TempoError
from tempo.evaluation import launch
from tempo.evaluation.environment import VARIABLE, Environment, find
from tempo.evaluation.launch import Job, _reason
from tempo.evaluation.settings import Settings


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (["eval"], "TASK"),
        (["eval", "report"], "at least one run"),
        (["eval", "debug", "lvbench"], "name it alone"),
        (["eval", "lvbench", "--check"], "--data"),
        (["eval", "lvbench", "--budget", "16k"], "budget"),
        (["eval", "lvbench", "--limit", "0"], "--limit"),
        (["eval", "lvbench", "--max-errors", "-1"], "--max-errors"),
        (["eval", "lvbench", "--min-frames", "9", "--max-frames", "8"], "min_frames=9"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage(call, words, capsys):
    try:
        status = main(call)
    except SystemExit as end:
        status = end.code
    assert status == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_report_prints_and_writes(tmp_path, capsys):
    run = write_run(tmp_path / "run")
    assert main(["eval", "report", str(run), "--out", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "60.0 ±" in out
    assert str(tmp_path / "out" / "report.html") in out
    assert (tmp_path / "out" / "report.md").read_text() in out


def test_an_environment_without_lmms_eval_is_named(tmp_path, monkeypatch, capsys):
    # A Python of its own that has nothing installed: this one, shut off from its packages.
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(bare))
    assert main(["eval", "lvbench", "--out", str(tmp_path / "run")]) == 1
    assert f"{bare}: lmms-eval is missing" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_python_that_is_none(tmp_path):
    with pytest.raises(TempoError, match="cannot be run"):
        find(str(tmp_path / "nothing"))


def job(folder, **values):
    return Job(folder=folder, tasks=["lvbench"], settings=Settings(budget=4096), **values)


def test_files_are_checked_without_lmms_eval(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nothing"))
    folder = tmp_path / "data" / "LongVideoBench"
    (folder / "videos").mkdir(parents=True)
    row = {"id": "a_0", "video_id": "a", "question": "?", "candidates": ["x", "y"], "correct_choice": 0}
    rows = [{**row, "video_path": f"{name}.mp4", "duration_group": 15, "duration": 9} for name in "abc"]
    (folder / "lvb_val.json").write_text(json.dumps(rows))
    for name in "ab":
        (folder / "videos" / f"{name}.mp4").touch()
    call = ["eval", "longvideobench_val_v", "--data", str(tmp_path / "data"), "--check"]
    assert main(call) == 1
    assert f"missing videos: 1, for 1 questions: {folder / 'videos' / 'c.mp4'}" in capsys.readouterr().err
    (folder / "videos" / "c.mp4").touch()
    assert main(call) == 0
    assert "LongVideoBench (val): 3 questions, no video is missing" in capsys.readouterr().out


def test_the_command_line_of_one_and_of_several_processes(tmp_path):
    command = job(tmp_path, limit=10, max_errors=3).command("python")
    assert command[:4] == ["python", "-m", "lmms_eval", "--model"]
    arguments = command[command.index("--model_args") + 1]
    assert "budget=4096" in arguments
    assert f"run={tmp_path}" in arguments
    assert "max_errors=3" in arguments
    assert command[command.index("--limit") + 1] == "10"
    several = job(tmp_path, processes=4).command("python")
    assert several[several.index("--nproc_per_node") + 1] == "4"
    assert several[several.index("lmms_eval") - 1] == "-m"


def test_nothing_is_fetched_where_all_is_here(tmp_path):
    inside = job(tmp_path, include=tmp_path, offline=True).environment_variables()
    assert (inside["HF_HUB_OFFLINE"], inside["HF_DATASETS_OFFLINE"]) == ("1", "1")
    assert Path(inside["HF_DATASETS_CACHE"]).is_relative_to(tmp_path)
    assert job(tmp_path).environment_variables().get("HF_HUB_OFFLINE") == os.environ.get("HF_HUB_OFFLINE")


def test_the_reason_is_found_in_what_lmms_eval_wrote(tmp_path):
    log = tmp_path / "log"
    log.write_text("ValueError: of an earlier run\n")
    start = log.stat().st_size
    with log.open("a") as file:
        file.write("Traceback (most recent call last):\n  File x\n")
        file.write("tempo.errors.TempoError: film.mp4: no such file; check the path\n")
        file.write("\x1b[31mERROR\x1b[0m Error during evaluation\n")
    assert _reason(log, start) == "film.mp4: no such file; check the path"
    log.write_text("Killed\n")
    assert "Killed" in _reason(log, 0)


def stand_in(tmp_path, script):
    """A program in the place of the Python that has lmms-eval."""
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Environment(str(program), "0.7.3", tmp_path)


def test_no_result_is_a_failure_whatever_the_exit_status(tmp_path):
    with pytest.raises(TempoError, match=r"out of luck.*lmms-eval\.log"):
        launch.run(job(tmp_path), stand_in(tmp_path, "echo 'ValueError: out of luck'; exit 0"))


def test_a_result_is_a_success(tmp_path):
    made = tmp_path / "lmms-eval" / "x_results.json"
    launch.run(job(tmp_path), stand_in(tmp_path, f"mkdir -p {made.parent}; echo '{{}}' > {made}"))
    assert launch.results_of(tmp_path) == [made]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at /proc")
def test_stopping_ends_lmms_eval_and_its_children(tmp_path):
    pids = tmp_path / "pids"
    environment = stand_in(tmp_path, f"sleep 600 & echo $! > {pids}.part; mv {pids}.part {pids}; wait")

    def stop(done):
        if pids.exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch.run(job(tmp_path), environment, progress=stop)
    for _ in range(100):
        if not is_running(int(pids.read_text())):
            return
        time.sleep(0.1)
    raise AssertionError("the child goes on")


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_the_help_says_whose_the_published_weights_are(capsys):
    with pytest.raises(SystemExit):
        main(["eval", "--help"])
    assert "non-commercial" in " ".join(capsys.readouterr().out.split())


def test_manifest_of_a_written_run_is_json(tmp_path):
    values = json.loads((write_run(tmp_path / "run") / "manifest.json").read_text())
    assert values["settings"]["budget"] == 8192
    assert values["tempo"]


DOCS = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
SHOWN = [shlex.split(line, comments=True)[1:] for line in re.findall(r"^\$ (tempo .*)$", DOCS, re.MULTILINE)]


@pytest.mark.parametrize("call", SHOWN, ids=" ".join)
def test_commands_of_the_documentation_are_accepted(call):
    assert len(SHOWN) >= 6
    assert parser_of(call[0]).parse_args(call[1:]).tasks


def test_the_documentation_names_every_model_argument():
    arguments = DOCS[DOCS.index("## From lmms-eval itself") :]
    for name in Settings().to_json():
        assert f"`{name}`" in arguments
