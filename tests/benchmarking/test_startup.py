"""The measurement of the start-up, with one round."""

from tempo.benchmarking.startup import measure


def test_both_are_measured_and_compared():
    found = measure(1)
    torch, load = found["import torch"], found["tempo.load()"]
    assert 0 < torch["processor_seconds"]["fastest"] <= torch["processor_seconds"]["median"]
    ratio = load["seconds"]["fastest"] / torch["seconds"]["fastest"]
    assert abs(found["ratio"]["seconds"] - ratio) < 0.1 * ratio
