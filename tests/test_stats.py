"""Intervals and p against tables and closed forms."""

import math

import numpy as np
import pytest

from tempo.stats import bootstrap, mcnemar, wilson


@pytest.mark.parametrize(
    ("right", "total", "interval"),
    [
        # Newcombe (1998), method 3, Table I: the four examples that the paper works through.
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_wilson_is_that_of_newcombes_paper(right, total, interval):
    assert wilson(right, total) == pytest.approx(interval, abs=1e-4)


def test_wilson_is_symmetric_and_has_no_interval_without_questions():
    low, high = wilson(29, 29)
    assert (1 - high, 1 - low) == pytest.approx(wilson(0, 29))
    assert all(map(math.isnan, wilson(0, 0)))


def test_mcnemar_is_the_tail_of_a_coin():
    assert mcnemar(1, 9) == pytest.approx(2 * 11 / 1024)
    assert mcnemar(9, 1) == mcnemar(1, 9)
    assert mcnemar(0, 6) == pytest.approx(2 / 64)
    # Both tails meet in the middle and do not add up to more than certainty.
    assert mcnemar(5, 5) == 1.0
    assert mcnemar(0, 0) == 1.0


def test_bootstrap_of_a_mean_is_about_that_of_the_normal_distribution():
    values = np.random.default_rng(7).normal(3.0, 2.0, size=400)
    error = values.std() / math.sqrt(len(values))
    low, high = bootstrap(values.tolist())
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_bootstrap_is_the_same_each_time_and_of_constants_a_point():
    values = [1.0, 0.0, -1.0, 1.0, 0.0]
    assert bootstrap(values) == bootstrap(values)
    assert bootstrap([4.0] * 9) == (4.0, 4.0)
    assert all(map(math.isnan, bootstrap([])))
