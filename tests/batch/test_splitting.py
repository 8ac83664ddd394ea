"""A video that several workers watch: which ones are, and the answers of one worker, whoever dies."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import clips
import tempo
from reference_cases import REFERENCE
from tempo.batch.cases import Case
from tempo.batch.cases import group as grouped
from tempo.batch.pool import run_groups
from tempo.batch.processes import Processes
from tempo.batch.splitting import RANGE_BYTES, last_end, planned, workers_each
from tempo.batch.worker import WorkerConfig, answer
from tempo.cli.main import main
from tempo.distributed.process_replica import ProcessReplica
from tempo.distributed.replica import replica_in_thread
from tempo.distributed.weight_sharing import SharedModel
from tests.cli.conftest import environment

QUESTIONS = ("What is shown?", "Which number comes last?", "In which colour?")
TINY = {"dtype": "float32", "device": "cpu"}


@pytest.mark.parametrize(
    ("costs", "workers", "expected"),
    [
        ([100], 4, [4]),
        ([100, 100], 2, [1, 1]),
        ([0.1] * 3, 3, [1] * 3),
        ([100, 1, 1, 1], 1, [1] * 4),
        ([300, 50, 50], 4, [3, 1, 1]),
        ([3.9], 8, [1]),  # not worth four times what a range costs
        ([], 4, []),
    ],
)
def test_what_takes_longer_than_a_fair_share_is_shared(costs, workers, expected):
    assert workers_each(costs, workers, range_cost=1) == expected


def test_sharing_never_makes_a_run_longer_however_many_questions_follow():
    for questions in (0, 3, 20, 100):
        for costs, workers in (([100, 30, 30, 30], 4), ([300, 50, 50], 8), ([40] * 9, 8)):
            after = [0.3 * questions] * len(costs)
            counts = workers_each(costs, workers, range_cost=1, after=after)
            shared = [
                cost / count + (count > 1) + more
                for cost, count, more in zip(costs, counts, after, strict=True)
            ]
            whole = [cost + more for cost, more in zip(costs, after, strict=True)]
            assert last_end(shared, counts, workers) <= last_end(whole, [1] * len(costs), workers)


def test_a_job_of_several_workers_begins_once_they_are_free():
    assert last_end([5, 3, 2], [1, 1, 2], 2) == 7
    assert last_end([5, 3, 2], [1, 1, 1], 2) == 5


def test_files_are_shared_by_their_size(tmp_path):
    for name, size in (("large", 40 * RANGE_BYTES), ("small", 10), ("tiny", 5)):
        with open(tmp_path / name, "wb") as file:
            file.truncate(size)
    paths = [*(str(tmp_path / name) for name in ("tiny", "large", "small")), "https://host/x.mp4"]
    groups = [replace(one, cases=()) for one in grouped(Case(0, 0, False, path, "?") for path in paths)]
    found = {one.video_path.rpartition("/")[2]: one.workers for one in planned(groups, 4)}
    assert found == {"x.mp4": 1, "large": 3, "small": 1, "tiny": 1}  # the address counts as the mean


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    path = clips.write(tmp_path_factory.mktemp("film") / "film.mp4", count=95, rate=5, options={"g": "5"})
    clips.pad(path, 64 * 2**20)  # the size of a file stands for its length
    settings = {"budget": 60, "max_new_tokens": 4}
    cases = [
        Case(number, number, False, str(path), question, settings)
        for number, question in enumerate(QUESTIONS)
    ]
    (found,) = grouped(cases)
    return found


class Remembering:
    """Beside a pool: remembers its workers, and which of them answer with helpers."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.workers, self.leaders = [], []

    def start(self, index):
        worker = super().start(index)
        self.workers.append(worker)
        assign = worker.assign

        def remembered(group, helpers=()):
            if helpers:
                self.leaders.append(worker)
            assign(group, helpers)

        worker.assign = remembered
        return worker


class RememberingProcesses(Remembering, Processes):
    pass


def check_same(one, other):
    assert one["token_ids"] == other["token_ids"]
    assert [s["tokens"] for s in one["segments"]] == [s["tokens"] for s in other["segments"]]
    assert [s["relevance"] for s in one["segments"]] == pytest.approx(
        [s["relevance"] for s in other["segments"]], abs=1e-5
    )


@pytest.fixture
def elsewhere(group, monkeypatch):
    """A helper in another folder than this process, which is in that of the video."""
    shared = SharedModel(tempo.load(REFERENCE / "tempo-tiny", **TINY))
    helper = ProcessReplica(shared, name="worker 2", threads=1)
    monkeypatch.chdir(Path(group.video_path).parent)
    yield helper
    helper.close()
    shared.close()


@pytest.mark.slow
def test_what_a_helper_cannot_read_is_watched_by_the_leader_and_said_with_its_name(group, tiny, elsewhere):
    config = WorkerConfig(str(REFERENCE / "tempo-tiny"), TINY, "host", 2)
    seen_from_here = replace(group, video_path=Path(group.video_path).name)
    expected = dict(answer(tiny, group, config))
    found = dict(answer(tiny, seen_from_here, config, [elsewhere]))
    assert found.keys() == expected.keys()
    for number, record in found.items():
        check_same(record, expected[number])
        assert "helpers" not in record
        (warning,) = record["warnings"]
        assert warning.startswith("worker 2 cannot help with film.mp4, and its part is watched by another")
        assert "No such file" in warning


@pytest.mark.parametrize("place", [0.2, 0.7])
def test_a_damaged_video_is_no_fault_of_the_helper(tiny, tmp_path, place):
    path = clips.write(tmp_path / "film.mkv", count=150, rate=5, options={"g": "10"})
    data = bytearray(path.read_bytes())
    at = int(len(data) * place)
    data[at : at + len(data) // 10] = bytes(len(data) // 10)
    path.write_bytes(data)
    (film,) = grouped([Case(1, 1, False, str(path), QUESTIONS[0], {"budget": 60, "max_new_tokens": 2})])
    config = WorkerConfig(None, TINY, "host", 2)
    expected = dict(answer(tiny, film, config))
    found = dict(answer(tiny, film, config, [replica_in_thread(tiny, tiny.device)]))
    check_same(found[1], expected[1])
    assert found[1]["helpers"] == ["cpu"]
    assert found[1]["warnings"] == expected[1]["warnings"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="workers share no video there")
def test_a_run_that_is_killed_while_workers_share_a_video_resumes(group, tiny, tmp_path):
    path, output = tmp_path / "cases.jsonl", tmp_path / "results.jsonl"
    lines = [{"video_path": group.video_path, "query": f"{number}: {QUESTIONS[0]}"} for number in range(30)]
    path.write_text("\n".join(map(json.dumps, lines)))
    model = ("--model", REFERENCE / "tempo-tiny", "--dtype", "float32", "--device", "cpu")
    options = ("--output", output, "--cache", "host", "--max-new-tokens", 4)
    arguments = list(map(str, ["batch", path, *model, *options]))

    def records():
        return [json.loads(line) for line in output.read_text().splitlines()] if output.exists() else []

    command = [sys.executable, "-m", "tempo", *arguments, "--workers", "2"]
    process = subprocess.Popen(command, env=environment(tmp_path), stderr=subprocess.PIPE)
    while not records():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.005)
    process.kill()
    process.communicate()  # its workers hold the other end, so this waits for them as well
    before = records()
    assert before[0]["helpers"]
    assert len(before) < len(lines)
    assert main(arguments) == 0
    found = records()
    assert found[: len(before)] == before
    assert [one["query"] for one in found] == [one["query"] for one in lines]
    session = tiny.watch(group.video_path, cache="none")
    for one in (found[0], found[len(before)]):
        expected = session.ask(one["query"], max_new_tokens=4)
        assert one["token_ids"] == expected.token_ids
        assert [s["tokens"] for s in one["segments"]] == [s.tokens for s in expected.segments]


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["helper", "leader"])
def test_the_answers_are_those_of_one_worker(group, tiny, victim):
    config = WorkerConfig(str(REFERENCE / "tempo-tiny"), TINY, "host", 2)
    expected = dict(answer(tiny, group, config))
    pool = RememberingProcesses(config)
    found = {}
    for case, record in run_groups([group], pool, 2, warn=print):
        if not found:
            assert len(pool.leaders) == 1
            (leader,) = pool.leaders
            (helper,) = [one for one in pool.workers if one is not leader]
            assert record["helpers"] == [helper.name]  # not only replaced by the other
            os.kill({"helper": helper, "leader": leader}[victim].process.pid, signal.SIGKILL)
        found[case.number] = record
    assert found.keys() == expected.keys()
    failed = [number for number, record in found.items() if "error" in record]
    assert len(failed) == (victim == "leader")
    for number in found.keys() - set(failed):
        check_same(found[number], expected[number])
    assert [number for number in found if "helpers" in found[number]] == [next(iter(found))]
    assert not any(one.process.is_alive() for one in pool.workers)
