"""The simulation of a batch run keeps what arithmetic says of any schedule."""

import pytest

from tempo.batch.cases import Case, group, largest_first
from tempo.benchmarking.scaling import RULES, Costs, simulate

COSTS = Costs()
LENGTHS = [30.0, 7200, 60, 600, 45, 3600, 900, 120]


@pytest.mark.parametrize("rule", RULES)
def test_one_worker_takes_the_sum_of_all_costs(rule):
    alone = simulate(LENGTHS, 1, rule, costs=COSTS, questions=2)
    each = [COSTS.watching(seconds) + 2 * COSTS.answer for seconds in LENGTHS]
    assert alone.seconds == pytest.approx(sum(each))
    assert alone.idle == pytest.approx(0)


@pytest.mark.parametrize("workers", [2, 3, 8, 40])
def test_no_schedule_beats_its_bounds(workers):
    each = [COSTS.watching(seconds) + COSTS.answer for seconds in LENGTHS]
    in_order, largest, split = (
        simulate(LENGTHS, workers, rule, costs=COSTS, questions=1).seconds for rule in RULES
    )
    least = max(sum(each) / workers, max(each))
    assert in_order >= least - 1e-9
    # Graham's bound of 1969 for the longest job first.
    assert least - 1e-9 <= largest <= (4 / 3 - 1 / (3 * workers)) * least + 1e-9
    assert split >= sum(each) / workers - 1e-9


def test_a_long_video_that_is_shared_ends_sooner():
    lengths = [24 * 3600.0] + [60.0] * 50
    whole, shared = (simulate(lengths, 16, rule, costs=COSTS).seconds for rule in RULES[1:])
    assert shared < whole / 4


def test_files_are_handed_out_by_their_size(tmp_path):
    for name, size in (("small.mp4", 10), ("large.mp4", 1000), ("middle.mp4", 100)):
        (tmp_path / name).write_bytes(bytes(size))
    names = ["small.mp4", "https://host/x.mp4", "large.mp4", "middle.mp4"]
    paths = [name if "//" in name else str(tmp_path / name) for name in names]
    groups = group(Case(number, number, False, path, "?") for number, path in enumerate(paths))
    found = [one.video_path.rpartition("/")[2] for one in largest_first(groups)]
    assert found == ["x.mp4", "large.mp4", "middle.mp4", "small.mp4"]
