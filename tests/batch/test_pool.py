"""How often a case may cost its worker, and who shares a video where workers come and go."""

import pytest

from tempo.batch import pool
from tempo.batch.cases import Case, VideoGroup
from tempo.batch.pool import MACHINE_LOST, WorkerDiedError, run_groups
from tempo.batch.splitting import RANGE_BYTES


class Doomed:
    """Workers that load, and then die in the ways of a list; those after them answer."""

    attempts, alike, missing = 2, False, ""

    def __init__(self, deaths):
        self.deaths = list(deaths)

    def start(self, index):
        return _Worker(self.deaths)

    def ready(self, workers, patience=None):
        return workers


class _Worker:
    def __init__(self, deaths):
        self.deaths, self.messages = deaths, [("ready", "alike")]

    def assign(self, group, helpers=()):
        if group is not None:
            records = [("record", (case.number, {"answer": case.query})) for case in group.cases]
            self.messages = [*records, ("done", None)]

    def receive(self):
        if self.messages[0][0] == "record" and self.deaths:
            raise self.deaths.pop(0)
        return self.messages.pop(0)

    def end(self, *, at_once):
        del at_once


def killed():
    return WorkerDiedError("killed")


def machine_lost():
    return WorkerDiedError("its machine is gone", attempt=MACHINE_LOST)


@pytest.mark.parametrize(
    ("deaths", "failed"),
    [
        ([killed()], False),
        ([killed(), killed()], True),
        ([killed(), machine_lost(), machine_lost()], False),
        ([machine_lost() for _ in range(7)], False),
        ([machine_lost() for _ in range(8)], True),
    ],
    ids=["killed once", "killed twice", "killed and lost", "lost often", "lost for ever"],
)
def test_a_lost_machine_is_rarely_the_fault_of_a_video(deaths, failed):
    cases = [
        Case(number, number, False, "film.mp4", query) for number, query in enumerate(("who?", "where?"), 1)
    ]
    group = VideoGroup("film.mp4", {}, tuple(cases))
    found = {case.number: record for case, record in run_groups([group], Doomed(deaths), 1, warn=print)}
    assert ("error" in found[1]) is failed
    assert found[2] == {"answer": "where?"}


class Growing:
    """Workers of which the first has the model at once, and the others once so many videos have begun.

    Attributes:
        begun: each video, and how many watch it.
    """

    attempts, alike, missing, shares = 1, False, "", True

    def __init__(self, others_after):
        self.others_after, self.begun = others_after, []

    def start(self, index):
        return _Joining(self, [("ready", "alike")] if index == 0 else [])

    def ready(self, workers, patience=None):
        if len(self.begun) == self.others_after:
            self.others_after = None
            for worker in workers[1:]:
                worker.messages = [("ready", "alike")]
        found = [worker for worker in workers if worker.messages]
        assert found or patience is not None, "it would wait for ever"
        return found


class _Joining:
    def __init__(self, cluster, messages):
        self.cluster, self.messages = cluster, messages

    def assign(self, group, helpers=()):
        if group is not None:
            self.cluster.begun.append((group.video_path, 1 + len(helpers)))
            records = [("record", (case.number, {"answer": case.query})) for case in group.cases]
            self.messages = [*records, ("done", None)]
            for helper in helpers:
                helper.messages = [("done", None)]

    def receive(self):
        return self.messages.pop(0)

    def release(self):
        pass

    def end(self, *, at_once):
        del at_once


LONG = 100 * RANGE_BYTES


@pytest.mark.parametrize(
    ("workers", "sizes", "others_after", "begun"),
    [
        (2, {"long": LONG, "short": 2, "tiny": 1}, 0, [("long", 2), ("short", 1), ("tiny", 1)]),
        (2, {"long": LONG, "short": 2, "tiny": 1}, 1, [("short", 1), ("tiny", 1), ("long", 2)]),
        (2, {"long": LONG, "short": 2, "tiny": 1}, None, [("short", 1), ("tiny", 1), ("long", 1)]),
        (4, {"long": LONG, "other": LONG}, 1, [("long", 1), ("other", 3)]),
    ],
    ids=["there at once", "there later", "never there", "joining while one is busy"],
)
def test_no_worker_waits_while_there_is_something_to_do(monkeypatch, workers, sizes, others_after, begun):
    monkeypatch.setattr(pool, "PATIENCE", 0.0)
    groups = [
        VideoGroup(path, {}, (Case(number, number, False, path, "who?"),), size=size)
        for number, (path, size) in enumerate(sizes.items())
    ]
    cluster = Growing(others_after)
    found = list(run_groups(groups, cluster, workers, warn=print))
    assert len(found) == len(sizes)
    assert cluster.begun == begun
