"""A video that a Ray cluster watches: the answers of one device, also when a machine is lost."""

import json

import pytest

import tempo
from reference_cases import REFERENCE
from tempo.cli.main import main
from tempo.distributed.ray_cluster import connect, grows, is_lost, wait_for_room
from tempo.errors import TempoError, UsageError

pytest.importorskip("ray")
pytestmark = pytest.mark.slow

TINY = REFERENCE / "tempo-tiny"
QUESTIONS = ("What is shown?", "Which number comes last, and in which colour?")


@pytest.fixture(scope="module")
def spread(cluster):
    model = tempo.load(TINY, dtype="float32", ray=cluster.address)
    assert len(model.pool.slots) == 2
    yield model
    model.close()


@pytest.mark.parametrize("cache", ["device", "none"])
def test_the_answers_are_those_of_one_device(spread, engine, film, cache):
    session, alone = spread.watch(film, cache=cache), engine.watch(film, cache=cache)
    for question in QUESTIONS:
        found, expected = (one.ask(question, budget=60, max_new_tokens=8) for one in (session, alone))
        assert found.token_ids == expected.token_ids
        assert [s.tokens for s in found.segments] == [s.tokens for s in expected.segments]
        assert [s.relevance for s in found.segments] == pytest.approx(
            [s.relevance for s in expected.segments], abs=1e-5
        )


def test_a_machine_is_lost_and_its_range_is_watched_again(cluster, spread, engine, film):
    import ray

    session = spread.watch(film, cache="device")
    before = session.ask(QUESTIONS[0], budget=60, max_new_tokens=8)
    for slot in spread.pool.slots:
        ray.kill(slot.replica._actor)
    after = session.ask(QUESTIONS[0], budget=60, max_new_tokens=8)
    assert after.token_ids == before.token_ids
    assert [s.tokens for s in after.segments] == [s.tokens for s in before.segments]


def test_a_lost_machine_is_told_from_one_that_is_there(cluster, spread):
    import ray

    assert not grows(ray)
    node = cluster.add_node(num_cpus=0)
    assert not is_lost(ray, node.node_id)
    cluster.remove_node(node, allow_graceful=False)
    assert is_lost(ray, node.node_id)


def test_a_video_that_cannot_be_read_is_one_line(spread, tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(b"no video" * 100)
    with pytest.raises(TempoError, match=r"film\.mp4") as caught:
        spread.watch(path)
    assert "\n" not in str(caught.value)


def test_the_command_line_asks_the_cluster(spread, engine, film, capsys):
    call = ["ask", str(film), QUESTIONS[0], "--model", str(TINY), "--dtype", "float32", "--ray", "auto"]
    spread.close()  # its cores are needed
    assert main([*call, "--budget", "60", "--max-new-tokens", "8", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (
        found["token_ids"]
        == engine.watch(film, cache="none").ask(QUESTIONS[0], budget=60, max_new_tokens=8).token_ids
    )


def test_a_cluster_that_others_hold_is_waited_for(cluster, capsys):
    ray = connect(cluster.address)
    others = ray.util.placement_group([{"CPU": 1.0}] * 2)
    ray.get(others.ready())
    needed = {"num_cpus": 1.0, "num_gpus": 0.0}
    with pytest.raises(TempoError, match=r"others held them for 0\.1 s"):
        wait_for_room(ray, needed, print, patience=0.1)
    with pytest.raises(TempoError, match="each needs 64 cores"):
        wait_for_room(ray, needed | {"num_cpus": 64.0}, print)
    capsys.readouterr()
    wait_for_room(ray, needed, lambda line: (print(line), ray.util.remove_placement_group(others)))
    assert "waiting for room" in capsys.readouterr().out


def test_no_ray_and_devices_beside_it_are_one_line():
    with pytest.raises(UsageError, match="exclude each other"):
        tempo.load(TINY, ray="auto", devices=["cpu", "cpu"])
