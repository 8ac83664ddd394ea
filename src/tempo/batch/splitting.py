"""How many workers watch each video of a batch run: one, or several where it would take too long otherwise.

A run ends with its last video. Largest first keeps all workers busy until then, unless one video takes longer
than a fair share of all of them; that one is cut into ranges of segments that several workers watch at once.
`python -m tempo.benchmarking.scaling` compares the rules.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import replace
from operator import itemgetter

from .cases import VideoGroup, largest_first

# What a further range costs beyond what it holds, as if the file were so much larger: a decoder that begins
# behind a keyframe, and messages. It is about 15 seconds of 720p.
RANGE_BYTES = 4 * 2**20
# Shares that are tried, in fair shares: a coarser cut may let all videos run at once.
_SHARES = (1, 1.25, 1.5, 1.75, 2, math.inf)
# What an answer costs, which workers that share the video wait for: about 45 seconds of 720p.
ANSWER_BYTES = 12 * 2**20


def planned(groups: Sequence[VideoGroup], workers: int) -> list[VideoGroup]:
    """The groups largest first, each with the number of workers that are to watch it.

    The size of a file stands for what it costs. What is no file of this machine is watched by one worker, and
    counts as much as the mean of those that are.
    """
    ordered = largest_first(groups)
    known = [group.size for group in ordered if group.size is not None]
    mean = sum(known) / len(known) if known else 0.0
    counts = workers_each(
        [mean if group.size is None else group.size for group in ordered],
        workers,
        range_cost=RANGE_BYTES,
        after=[len(group.cases) * ANSWER_BYTES for group in ordered],
    )
    return [
        replace(group, workers=1 if group.size is None or group.alone else count)
        for group, count in zip(ordered, counts, strict=True)
    ]


def workers_each(
    costs: Sequence[float], workers: int, *, range_cost: float, after: Sequence[float] | None = None
) -> list[int]:
    """How many of the workers are to share each job, so that the last one ends soon. All costs have one unit.

    Args:
        costs: of the jobs, in the order in which they begin.
        range_cost: what each range of a job that is shared costs beyond its part of it.
        after: what each job costs then, while whoever shared it waits.
    """
    after = [0.0] * len(costs) if after is None else after
    fair = max(sum(costs) / workers, 4 * range_cost)
    tried: dict[tuple[int, ...], float] = {}
    for share in _SHARES:
        # A job of just one share stays whole, also where the sum was rounded.
        counts = tuple(max(1, min(workers, math.ceil(cost / (share * fair) - 1e-9))) for cost in costs)
        if counts not in tried:
            seconds = [
                cost / count + range_cost * (count > 1) + more
                for cost, count, more in zip(costs, counts, after, strict=True)
            ]
            tried[counts] = last_end(seconds, counts, workers)
    return list(min(tried.items(), key=itemgetter(1))[0])


def last_end(seconds: Sequence[float], counts: Sequence[int], workers: int) -> float:
    """When the last job ends, of jobs that begin one after another, each once so many workers are free.

    Args:
        seconds: that each job takes the workers which share it.
        counts: how many these are.
    """
    free = [0.0] * workers
    for took, count in zip(seconds, counts, strict=True):
        begins = [heapq.heappop(free) for _ in range(count)][-1]
        for _ in range(count):
            heapq.heappush(free, begins + took)
    return max(free)
