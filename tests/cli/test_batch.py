"""`tempo batch`: every case once, whatever happens to it, to its worker, or to the whole run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import TINY, environment, write_video

TINY_MODEL = ("--model", TINY, "--dtype", "float32", "--device", "cpu", "--max-new-tokens", "4")
QUESTIONS = ["What colour is the square?", "Which way?", "How many?"]

needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")


def write_cases(path, cases):
    path.write_text("\n".join(map(json.dumps, cases)), encoding="utf-8")
    return path


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
def test_failures_are_recorded_and_the_rest_is_answered_once(tempo, clip, tmp_path):
    cases = [
        {"video_path": str(clip), "query": QUESTIONS[0]},
        {"video_path": str(tmp_path / "missing.mp4"), "query": "who?", "id": "lost"},
        {"video_path": str(clip), "query": QUESTIONS[1], "id": "second", "options": {"budget": 12}},
        {"video_path": str(clip)},
        {"video_path": str(clip), "query": "why? " * 20_000},
        {"video_path": str(clip), "query": "who?", "options": {"keep": "middle"}},
    ]
    path, output = write_cases(tmp_path / "cases.jsonl", cases), tmp_path / "results.jsonl"
    done = tempo("batch", path, "--output", output, *TINY_MODEL)
    assert done.returncode == 1
    found = {record["id"]: record for record in read(output)}
    assert len(found) == len(read(output)) == 6
    assert {name for name in found if "error" in found[name]} == {"lost", 4, 5, 6}
    for name, words in {"lost": "missing.mp4", 4: "'query' is missing", 5: "too long", 6: "keep"}.items():
        assert words in found[name]["error"]
        assert "answer" not in found[name]
        assert words in done.stderr
    assert done.stderr.count("\n") == 4
    assert "Traceback" not in done.stderr
    assert "bug in tempo" not in done.stderr
    # Watched for the first question and not again, each with its own options.
    assert found[1]["timings"]["watch"] > 0
    assert found["second"]["timings"]["watch"] == 0
    assert sum(segment["tokens"] for segment in found["second"]["segments"]) <= 12
    plain = tempo("ask", clip, QUESTIONS[0], *TINY_MODEL, "--json")
    alone = json.loads(plain.stdout)
    assert found[1]["token_ids"] == alone["token_ids"]
    assert [s["tokens"] for s in found[1]["segments"]] == [s["tokens"] for s in alone["segments"]]
    assert "failed" in done.stdout
    assert str(clip) in done.stdout

    # Again: nothing is done twice. With --retry-failed: what can be answered by now is.
    before = output.read_bytes()
    done = tempo("batch", path, "--output", output, *TINY_MODEL, "--json")
    assert (done.returncode, done.stderr) == (1, "")
    summary = json.loads(done.stdout)
    assert (summary["cases"], summary["answered"], summary["failed"], summary["done_before"]) == (6, 2, 4, 6)
    assert output.read_bytes() == before
    write_video(tmp_path / "missing.mp4", seconds=2)
    done = tempo("batch", path, "--output", output, *TINY_MODEL, "--json", "--retry-failed")
    summary = json.loads(done.stdout)
    assert (summary["answered"], summary["failed"], summary["done_before"]) == (3, 3, 2)
    assert sorted(map(str, (record["id"] for record in read(output)))) == sorted(map(str, found))


@pytest.fixture
def many(clip, tmp_path):
    """Eighteen cases about three videos, mixed."""
    videos = [clip, write_video(tmp_path / "b.mp4", seconds=4), write_video(tmp_path / "c.mp4", seconds=2)]
    return write_cases(
        tmp_path / "cases.jsonl",
        [
            {"video_path": str(video), "query": f"{question} {i}"}
            for i in range(2)
            for question in QUESTIONS
            for video in videos
        ],
    )


def start(tmp_path, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "tempo", "batch", *map(str, arguments), *map(str, TINY_MODEL)],
        env=environment(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def children(process):
    """The processes that PROCESS started, without the one that only tidies up after them."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(one) for one in listed if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition, process=None):
    deadline = time.monotonic() + 500
    while not condition():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None, process.stderr.read()
        time.sleep(0.005)


@pytest.mark.slow
@needs_proc
def test_killed_and_started_again_nothing_is_lost_or_done_twice(many, tmp_path):
    output, workers = tmp_path / "results.jsonl", 2
    seen = b""
    for lines in (1, 9):
        process = start(tmp_path, many, "--output", output, "--workers", workers)
        wait_for(lambda: output.exists() and output.read_bytes().count(b"\n") >= lines, process)  # noqa: B023
        mine = children(process)
        assert len(mine) == workers
        process.kill()
        process.communicate()
        wait_for(lambda: not any(map(alive, mine)))  # noqa: B023
        now = output.read_bytes()
        assert now.startswith(seen), "what was written stays"
        seen = now[: now.rindex(b"\n") + 1]
    process = start(tmp_path, many, "--output", output, "--workers", workers)
    _, said = process.communicate(timeout=500)
    assert (process.returncode, said) == (0, "")
    assert output.read_bytes().startswith(seen)
    found = read(output)
    asked = [json.loads(line) for line in many.read_text().splitlines()]
    assert sorted((r["video_path"], r["query"]) for r in found) == sorted(
        (c["video_path"], c["query"]) for c in asked
    )
    assert all(record["answer"] is not None for record in found)


@pytest.mark.slow
@needs_proc
def test_a_worker_that_dies_costs_one_case(many, tmp_path):
    output = tmp_path / "results.jsonl"
    process = start(tmp_path, many, "--output", output)
    wait_for(lambda: output.exists() and output.read_bytes().count(b"\n") >= 2, process)
    (worker,) = children(process)
    os.kill(worker, signal.SIGKILL)
    _, said = process.communicate(timeout=500)
    assert process.returncode == 1
    found = read(output)
    assert len({(record["video_path"], record["query"]) for record in found}) == len(found) == 18
    (failed,) = [record for record in found if "error" in record]
    assert "SIGKILL" in failed["error"]
    assert said.count("\n") == 1


@pytest.mark.slow
@needs_proc
def test_ctrl_c_stops_cleanly_and_says_where_it_stands(many, tmp_path):
    output = tmp_path / "results.jsonl"
    process = start(tmp_path, many, "--output", output)
    wait_for(lambda: output.exists() and output.read_bytes().count(b"\n") >= 1, process)
    mine = children(process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert said == (
        f"tempo: stopped; {len(read(output))} of 18 cases are done; run the same command again to resume\n"
    )
    assert not any(map(alive, mine))


def test_wrong_usage_and_files_that_are_none(fails, clip, tmp_path):
    one = {"video_path": str(clip), "query": "who?"}
    cases = write_cases(tmp_path / "cases.jsonl", [one])
    results = tmp_path / "results.jsonl"
    assert "--output" in fails("batch", cases, status=2)
    assert "--workers" in fails("batch", cases, "--output", results, "--workers", "0", status=2)
    assert "missing.json" in fails("batch", tmp_path / "missing.json", "--output", results)
    assert str(cases) in fails("batch", cases, "--output", cases)
    assert json.loads(cases.read_text()) == one
    assert not results.exists()


def test_a_model_that_cannot_be_loaded_stops_the_run_with_nothing_written(fails, clip, tmp_path):
    cases = write_cases(tmp_path / "cases.jsonl", [{"video_path": str(clip), "query": "who?"}])
    results = tmp_path / "results.jsonl"
    assert "warp" in fails("batch", cases, "--output", results, *TINY_MODEL[:2], "--device", "warp", status=2)
    assert results.read_bytes() == b""
