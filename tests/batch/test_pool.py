"""How often a case may cost its worker, and how often the machine below it."""

import pytest

from tempo.batch.cases import Case, VideoGroup
from tempo.batch.pool import MACHINE_LOST, WorkerDiedError, run_groups


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
