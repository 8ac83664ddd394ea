"""`tempo batch --ray` on a real cluster of two nodes: the same answers as without, whatever dies."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

import clips
from ray_nodes import replace_node
from tempo.batch.cases import Case, group
from tempo.batch.pool import run_groups
from tempo.batch.ray_workers import RayActors
from tempo.batch.worker import WorkerConfig, answer
from tempo.distributed.ray_cluster import WorkerResources, connected
from tests.cli.conftest import TINY, environment

from .test_splitting import Remembering

pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc"),
]

MODEL = ("--model", TINY, "--dtype", "float32", "--device", "cpu", "--max-new-tokens", "4")


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """Eighteen cases about three videos, mixed, by paths that are relative to the folder of the command."""
    folder = tmp_path_factory.mktemp("cases")
    for name, seconds in (("a", 6), ("b", 4), ("c", 2)):
        clips.write(folder / f"{name}.mp4", count=10 * seconds, rate=10, size=(128, 96))
    path = folder / "cases.jsonl"
    lines = [
        {"video_path": f"{name}.mp4", "query": f"{question} {i}"}
        for i in range(2)
        for question in ("What colour is the square?", "Which way?", "How many?")
        for name in "abc"
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def start(cases, output, home, *more, folder=None):
    return subprocess.Popen(
        [sys.executable, "-m", "tempo", "batch", *map(str, (cases, "--output", output, *MODEL, *more))],
        env=environment(home),
        cwd=folder or cases.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def wait_for(condition, process):
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)


def actors():
    """The processes of workers in the cluster."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                name = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if re.match(rb"ray::_Actor", name):
                found.append(int(entry.name))
    return found


def test_workers_and_a_node_are_lost_and_no_answer_is(cluster, cases, tmp_path):
    plain = start(cases, tmp_path / "plain.jsonl", tmp_path)
    _, said = plain.communicate(timeout=300)
    assert (plain.returncode, said) == (0, "")

    output = tmp_path / "results.jsonl"
    process = start(cases, output, tmp_path, "--ray", cluster.address, "--workers", "2")
    wait_for(lambda: len(records(output)) >= 2, process)
    os.kill(actors()[0], signal.SIGKILL)
    wait_for(lambda: len(records(output)) >= 6, process)
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    _, said = process.communicate(timeout=300)
    assert (process.returncode, said) == (0, "")

    def answers(path):
        return sorted(
            (one["video_path"], one["query"], one["token_ids"], [s["tokens"] for s in one["segments"]])
            for one in records(path)
        )

    assert len(answers(output)) == 18
    assert answers(output) == answers(tmp_path / "plain.jsonl")
    replace_node(cluster)


def test_the_driver_is_killed_and_the_same_command_resumes(cluster, cases, tmp_path):
    output = tmp_path / "results.jsonl"
    process = start(cases, output, tmp_path, "--ray", cluster.address)
    wait_for(lambda: len(records(output)) >= 3, process)
    process.kill()
    process.communicate()
    before = output.read_bytes()
    before = before[: before.rindex(b"\n") + 1]
    process = start(cases, output, tmp_path, "--ray", cluster.address)
    _, said = process.communicate(timeout=300)
    assert (process.returncode, said) == (0, "")
    assert output.read_bytes().startswith(before)
    asked = [(one["video_path"], one["query"]) for one in records(output)]
    assert len(set(asked)) == len(asked) == 18


def test_a_video_that_kills_its_worker_twice_fails_alone(cluster, cases, tmp_path):
    """Whoever opens one of the videos is killed: that video fails, by name, and the rest is answered."""
    poison = cases.parent / "poison.mp4"
    clips.write(poison, count=600, rate=10, size=(640, 480))
    mixed = tmp_path / "cases.jsonl"
    mixed.write_text(json.dumps({"video_path": str(poison), "query": "who?"}) + "\n" + cases.read_text())
    output, over, killed = tmp_path / "results.jsonl", threading.Event(), []

    def kill_who_opens_it():
        while not over.wait(0.03):
            for pid in actors():
                for number in _open_files(pid):
                    if number == str(poison):
                        os.kill(pid, signal.SIGKILL)
                        killed.append(pid)
                        time.sleep(0.2)
                        break

    thread = threading.Thread(target=kill_who_opens_it)
    thread.start()
    try:
        process = start(mixed, output, tmp_path, "--ray", cluster.address, folder=cases.parent)
        _, said = process.communicate(timeout=300)
    finally:
        over.set()
        thread.join()
    assert process.returncode == 1
    assert len(set(killed)) == 2
    assert said.startswith("tempo: case 1: the worker process died at this case")
    assert said.count("\n") == 1
    (failed,) = [one for one in records(output) if "error" in one]
    assert failed["video_path"] == str(poison)
    assert len(records(output)) == 19


class RememberingActors(Remembering, RayActors):
    pass


def only_wait(warning):
    """Whoever runs a pool is told nothing but that a busy machine takes long to start its workers."""
    assert warning.endswith("; waiting for room")


@pytest.fixture
def pool(cluster):
    """The actors of a run in this process, at which a test can look while the run goes on."""
    config = WorkerConfig(str(TINY), {"dtype": "float32", "device": "cpu"}, "host", 1, 1)
    with connected(cluster.address) as ray:
        yield RememberingActors(ray, config, WorkerResources(), only_wait)


def about(path, count, *, max_new_tokens=4):
    """The cases of a video."""
    settings = {"budget": 60, "max_new_tokens": max_new_tokens}
    return [Case(number, number, False, str(path), f"who {number}?", settings) for number in range(count)]


def check_answers(found, cases, tiny):
    expected = {}
    for one in group(cases):
        expected |= dict(answer(tiny, one, WorkerConfig(None, {}, "host", 1)))
    assert found.keys() == expected.keys()
    for number, record in found.items():
        assert "error" not in record
        assert record["token_ids"] == expected[number]["token_ids"]
        tokens = [[s["tokens"] for s in one["segments"]] for one in (record, expected[number])]
        assert tokens[0] == tokens[1]


@pytest.mark.parametrize("lost", ["helper", "leader"])
def test_a_worker_of_a_shared_video_is_lost(pool, tiny, tmp_path, lost):
    path = clips.write(tmp_path / "long.mp4", count=200, rate=5, size=(128, 96))
    clips.pad(path, 64 * 2**20)
    # Long answers: workers do not wait for who takes them, and one is to be killed before the last.
    cases, found = about(path, 10, max_new_tokens=40), {}
    for case, record in run_groups(group(cases), pool, 2, warn=only_wait):
        found[case.number] = record
        if len(found) == 1:
            (leader,) = pool.leaders
            (helper,) = [one for one in pool.workers if one is not leader]
            assert record["helpers"] == [helper.name]  # not only replaced by the leader
            pool.ray.kill({"helper": helper, "leader": leader}[lost].actor)
    if lost == "leader":
        assert len(pool.workers) == 3
    check_answers(found, cases, tiny)


def test_a_node_is_lost_while_the_other_worker_has_nothing_to_do(cluster, pool, tiny, tmp_path):
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    class Holder:
        def ready(self):
            pass

    replace_node(cluster)
    on_the_head = NodeAffinitySchedulingStrategy(cluster.head_node.node_id, soft=False)
    holder = pool.ray.remote(Holder).options(num_cpus=1, scheduling_strategy=on_the_head).remote()
    pool.ray.get(holder.ready.remote())  # so the workers are on the two nodes that can be removed

    long = clips.write(tmp_path / "long.mp4", count=60, rate=5, size=(128, 96))
    short = clips.write(tmp_path / "short.mp4", count=30, rate=5, size=(128, 96))
    cases = about(long, 60)
    cases.append(replace(cases[0], number=60, video_path=str(short)))
    found, lost = {}, None
    for case, record in run_groups(group(cases), pool, 2, warn=only_wait):
        found[case.number] = record
        idle = [one for one in pool.workers if one.coming is None]
        if lost is None and idle and len(found) < len(cases):
            (busy,) = [one for one in pool.workers if one.coming is not None]
            lost = pool.ray.get(busy._node)
            assert lost != pool.ray.get(idle[0]._node)
            (node,) = [one for one in cluster.worker_nodes if one.node_id == lost]
            cluster.remove_node(node, allow_graceful=False)
    assert lost is not None
    assert len(pool.workers) == 3
    check_answers(found, cases, tiny)


def _open_files(pid):
    try:
        return [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return []


def test_what_a_worker_cannot_read_is_said_with_its_name(cluster, cases, tmp_path):
    output = tmp_path / "results.jsonl"
    lost = tmp_path / "cases.jsonl"
    lost.write_text(json.dumps({"video_path": "/nowhere/x.mp4", "query": "who?"}))
    process = start(lost, output, tmp_path, "--ray", cluster.address)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 1
    (record,) = records(output)
    assert record["worker"]
    assert said == f"tempo: case 1, on {record['worker']}: /nowhere/x.mp4: no such file; check the path\n"


@pytest.mark.parametrize(
    ("address", "words"),
    [("127.0.0.1:1", "no Ray answers at 127.0.0.1:1"), ("somewhere", "somewhere: not the address of a Ray")],
)
def test_no_ray_at_the_address_is_one_line(cases, tmp_path, address, words):
    process = start(cases, tmp_path / "results.jsonl", tmp_path, "--ray", address)
    _, said = process.communicate(timeout=100)
    assert process.returncode == 1
    assert said.startswith(f"tempo: {words}")
    assert said.count("\n") == 1
