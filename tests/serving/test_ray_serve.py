"""`tempo serve --ray` on a real cluster of two nodes: the answers of one machine, whatever dies."""

import base64
import os
import re
import signal
import threading
import time
from pathlib import Path

import openai
import pytest

import tempo
from tempo.cli.main import main

from .conftest import Served
from .test_clients import ask

pytest.importorskip("ray.serve")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc"),
]

QUESTION = "How many objects are there?"
LONG = {"type": "regex", "pattern": "[0-9]{600}"}  # an answer of seconds


@pytest.fixture(scope="module")
def cluster_served(cluster, folder):
    """A server with two workers."""
    ray = ("--ray", cluster.address, "--min-workers", "2")
    server = Served("--allowed-local-media-path", str(folder), "--served-model-name", "nano", *ray)
    yield server
    server.close()


@pytest.fixture
def client(cluster_served):
    return cluster_served.client(timeout=120)


@pytest.fixture(scope="module")
def alone():
    return tempo.load(dtype="float32")


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def workers():
    """The processes of workers in the cluster."""
    return actors(rb"ray::ServeReplica:tempo")


def actors(name):
    """The processes of actors whose names begin so."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and re.match(name, (entry / "cmdline").read_bytes()):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def controllers():
    """The process of Ray Serve's own actor."""
    return actors(rb"ray::ServeController")


def computed(pid):
    """Seconds of processor time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def busiest(seconds=0.5):
    before = {pid: computed(pid) for pid in workers()}
    time.sleep(seconds)
    return max(before, key=lambda pid: computed(pid) - before[pid])


def is_cached(answer):
    return answer.usage.prompt_tokens_details.cached_tokens > 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--gpus-per-worker", "1"), "no worker can start yet: each needs 1 cores and 1 GPUs"),
        (("--model", "/nowhere"), "worker on .*: /nowhere"),
        (("--min-workers", "3", "--max-workers", "2"), "--max-workers 2 is below --min-workers 3"),
    ],
)
def test_what_cannot_start_is_one_line(cluster, capsys, options, says):
    assert main(["serve", "--ray", cluster.address, *options]) != 0
    said = capsys.readouterr().err
    assert re.match(f"tempo: {says}", said)
    assert said.count("\n") == 1


def test_the_workers_of_a_server_that_is_killed_end_too(cluster):
    server = Served("--ray", cluster.address)
    assert workers()
    server.process.kill()
    wait_for(lambda: not workers() and not controllers())


@pytest.fixture
def serve_of_others(cluster):
    """Ray Serve as somebody else has started it."""
    import ray
    from ray import serve

    ray.init(address=cluster.address, log_to_driver=False)
    serve.start(proxy_location="Disabled")
    yield
    ray.init(address=cluster.address, log_to_driver=False, ignore_reinit_error=True)
    serve.shutdown()
    ray.shutdown()


def test_a_ray_serve_that_was_there_before_stays(cluster, serve_of_others, capsys):
    before = controllers()
    assert main(["serve", "--ray", cluster.address, "--model", "/nowhere"]) == 1
    assert re.match("tempo: worker on .*: /nowhere", capsys.readouterr().err)
    wait_for(lambda: not workers())
    assert controllers() == before != []


def test_the_worker_that_keeps_a_video_answers_as_one_machine_does(client, folder, alone):
    session = alone.watch(folder / "0.mp4")
    for number, question in enumerate((QUESTION, "What colour is the largest object?", QUESTION)):
        answer = ask(client, f"file://{folder / '0.mp4'}", question)
        assert answer.choices[0].message.content == session.ask(question).text
        assert is_cached(answer) is (number > 0)


def test_a_file_is_sent_on_to_the_worker_and_forgotten_with_it(client, folder, alone):
    with (folder / "1.mp4").open("rb") as file:
        sent = client.files.create(file=file, purpose="user_data")
    parts = [{"type": "file", "file": {"file_id": sent.id}}, {"type": "text", "text": QUESTION}]
    call = {"model": "nano", "messages": [{"role": "user", "content": parts}]}
    answer = client.chat.completions.create(**call)
    assert answer.choices[0].message.content == alone.watch(folder / "1.mp4").ask(QUESTION).text
    within = f"data:video/mp4;base64,{base64.b64encode((folder / '1.mp4').read_bytes()).decode()}"
    assert ask(client, within, QUESTION).choices[0].message.content == answer.choices[0].message.content
    chunks = list(client.chat.completions.create(**call, stream=True, stream_options={"include_usage": True}))
    assert "".join(one.choices[0].delta.content or "" for one in chunks if one.choices) == (
        answer.choices[0].message.content
    )
    assert is_cached(chunks[-1])
    client.files.delete(sent.id)
    with pytest.raises(openai.NotFoundError, match="no file"):
        client.chat.completions.create(**call)


def test_errors_are_those_of_one_machine(client, folder):
    with pytest.raises(openai.UnprocessableEntityError, match="no such file"):
        ask(client, f"file://{folder / 'nowhere.mp4'}", QUESTION)
    with pytest.raises(openai.PermissionDeniedError, match="beneath"):
        ask(client, "file:///etc/passwd", QUESTION)
    with pytest.raises(openai.BadRequestError, match="regex"):
        ask(client, f"file://{folder / '0.mp4'}", QUESTION, response_format={"type": "regex"})


def test_a_client_that_leaves_ends_the_work_of_the_worker(client, folder):
    stream = ask(client, f"file://{folder / '0.mp4'}", QUESTION, stream=True, **long(6000))
    next(iter(stream))
    pid = busiest()
    stream.close()

    def idle():
        before = computed(pid)
        time.sleep(0.5)
        return computed(pid) - before < 0.1

    wait_for(idle, 10)


def long(tokens=600):
    return {"response_format": LONG, "max_tokens": tokens}


def test_a_worker_that_dies_is_replaced_by_the_other_and_a_cut_answer_is_an_error(client, folder):
    url = f"file://{folder / '0.mp4'}"
    expected = ask(client, url, QUESTION, **long()).choices[0].message.content
    answers = []
    asking = threading.Thread(target=lambda: answers.append(ask(client, url, QUESTION, **long())))
    asking.start()
    os.kill(busiest(), signal.SIGKILL)
    asking.join()
    assert answers[0].choices[0].message.content == expected  # of the other worker, which had not watched it
    assert not is_cached(answers[0])

    stream = iter(ask(client, url, QUESTION, stream=True, **long()))
    for _ in range(3):
        next(stream)
    os.kill(busiest(), signal.SIGKILL)
    with pytest.raises(openai.APIError, match="incomplete"):
        list(stream)
    assert ask(client, url, QUESTION, **long()).choices[0].message.content == expected


def test_what_runs_is_finished_when_the_server_is_told_to_end(cluster_served, client, folder):
    stream = iter(ask(client, f"file://{folder / '0.mp4'}", QUESTION, stream=True, **long(300)))
    text = [next(stream) for _ in range(2)]
    cluster_served.process.terminate()
    text += stream
    assert text[-1].choices[0].finish_reason == "length"
    assert len("".join(one.choices[0].delta.content for one in text[:-1])) >= 300
    assert cluster_served.close() == 0
    wait_for(lambda: not workers() and not controllers())


def test_no_ray_there_is_one_line(capsys):
    assert main(["serve", "--ray", "127.0.0.1:1"]) == 1
    assert capsys.readouterr().err.startswith("tempo: no Ray answers at 127.0.0.1:1")


def test_options_of_workers_go_with_a_cluster_only(capsys):
    assert main(["serve", "--max-workers", "2"]) == 2
    assert "--max-workers goes with --ray only" in capsys.readouterr().err
