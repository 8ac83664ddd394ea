"""Replicas that die are replaced, calls can be ended, and no process is left behind."""

import os
import signal
import subprocess
import sys
import time

import pytest

import tempo
from tempo import Tempo
from tempo.distributed.distributed_engine import DistributedTempo
from tempo.distributed.replica import ReplicaDiedError, replica_in_thread
from tempo.distributed.replica_pool import ReplicaPool
from tempo.errors import TempoError, UsageError

QUESTION = "What is shown?"


def kill_process_of(model: DistributedTempo) -> None:
    os.kill(model.pool.slots[1].replica.process_id, signal.SIGKILL)


@pytest.fixture(scope="module")
def expected(tiny, film):
    return tiny.watch(film).ask(QUESTION, max_new_tokens=4)


def check(answer, expected):
    assert answer.text == expected.text
    assert [s.tokens for s in answer.segments] == [s.tokens for s in expected.segments]


def test_a_process_that_dies_is_replaced_and_its_range_watched_again(two, film, expected):
    """Killed while it watches, between watching and a question, and while the question is answered."""
    killed = []

    def kill_once(done, total):
        if not killed:
            killed.append(two.pool.slots[1].replica.process_id)
            kill_process_of(two)

    session = two.watch(film, progress=kill_once)
    assert two.pool.slots[1].replica.process_id not in killed
    check(session.ask(QUESTION, max_new_tokens=4), expected)
    kill_process_of(two)
    check(session.ask(QUESTION, max_new_tokens=4), expected)
    posed = session.pose((), QUESTION, max_new_tokens=4)
    scored = session.score([posed.prompt.question_ids], "head", [posed.timer])
    kill_process_of(two)
    (segments,) = scored.compress([[segment.tokens for segment in expected.segments]])
    assert [len(one.memory_kD) for one in segments] == [s.tokens for s in expected.segments]


class Doomed:
    """A replica whose machine loses its power at every call."""

    name = "doomed"

    def __getattr__(self, name: str):
        def call(*arguments: object) -> object:
            if name in ("forget", "close"):
                return None
            if name == "room":
                return ("its memory", 10**12)
            raise ReplicaDiedError("SIGPWR")

        return call


def test_a_replica_that_dies_again_is_one_clear_error(tiny: Tempo, film):
    pool = ReplicaPool([lambda: replica_in_thread(tiny, tiny.device), Doomed])
    model = DistributedTempo(tiny, pool)
    with pytest.raises(TempoError, match=r"the compressor on doomed died twice .*SIGPWR.*fewer devices"):
        model.watch(film)
    model.close()


def test_what_progress_raises_ends_watching_and_the_replicas_go_on(two, film, expected):
    class EnoughError(Exception):
        pass

    def enough(done, total):
        raise EnoughError

    with pytest.raises(EnoughError):
        two.watch(film, progress=enough)
    check(two.watch(film, cache="none").ask(QUESTION, max_new_tokens=4), expected)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"devices": ["cpu", "cuda:99"]}, TempoError, "device=cuda:99: not available"),
        ({"devices": ["cpu", "gpu"]}, UsageError, "device='gpu': choose"),
        ({"devices": []}, UsageError, "give a list such as"),
        ({"devices": "cpu"}, UsageError, "give a list such as"),
        ({"devices": ["cpu"], "device": "cpu"}, UsageError, "either device or devices"),
    ],
)
def test_devices_that_cannot_be(options, error, said):
    with pytest.raises(error, match=said):
        tempo.load(**options)


def processes_below(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()[1:]]
    return [int(row[0]) for row in rows if int(row[1]) == pid and "tempo.distributed" in row[2]]


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def gone(pid: int) -> bool:
    until = time.monotonic() + 20
    while is_running(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return not is_running(pid)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_a_command_that_is_stopped_leaves_no_process(film, tmp_path, sent, status):
    command = [sys.executable, "-m", "tempo", "chat", str(film), "--devices", "cpu,cpu", "--dtype", "float32"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TEMPO_CACHE": str(tmp_path)}
    chat = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    until = time.monotonic() + 120
    while not (replicas := processes_below(chat.pid)) and time.monotonic() < until:
        time.sleep(0.05)
    (replica,) = replicas
    time.sleep(1)
    chat.send_signal(sent)
    _, errors = chat.communicate(timeout=60)
    assert chat.returncode == status
    assert b"Traceback" not in errors
    assert gone(replica)
