import pytest
import torch

from tempo.inference.allocation import adaptive, uniform
from tempo.inference.token_selection import merge, positions, select, tokens_needed


@pytest.mark.cheap
def test_reference_allocations(case):
    if "allocation" not in case.tensors:
        pytest.skip("not adaptive")
    relevance = case.tensors["relevance"].tolist()
    assert adaptive(relevance, budget=case.budget, k_min=4, k_max=32) == case.tensors["allocation"].tolist()


def test_linear_between_least_and_most_when_the_budget_allows():
    # ŝ = 0, 0.25, 0.5, 1 → 4 + ⌊ŝ·124⌋
    assert adaptive([0.25, 0.3125, 0.375, 0.5], budget=8192, k_min=4, k_max=128) == [4, 35, 66, 128]


def test_over_budget_the_rest_is_shared_by_relevance_and_the_remainder_goes_to_the_largest():
    # ŝ = 0, 0.5, 1; Σŝ = 1.5; 20 − 3·4 = 8 to share: 0, ⌊2.67⌋, ⌊5.33⌋, and the one left to the largest.
    assert adaptive([0.0, 0.25, 0.5], budget=20, k_min=4, k_max=128) == [4, 6, 10]


def test_least_shrinks_when_it_alone_is_over_budget():
    assert adaptive([0.1, 0.9, 0.5], budget=7, k_min=4, k_max=128) == [2, 3, 2]


def test_equal_scores_share_equally():
    assert adaptive([0.3] * 5, budget=99, k_min=4, k_max=128) == [19] * 5
    assert adaptive([0.3], budget=8192, k_min=4, k_max=128) == [128]


def test_no_segments():
    assert adaptive([], budget=8, k_min=4, k_max=16) == [] == uniform(0, budget=8, k_max=16)


@pytest.mark.parametrize("budget", [64, 100, 257, 1000, 8192])
@pytest.mark.parametrize("count", [1, 2, 7, 45, 64])
def test_bounds_hold_whatever_the_scores(budget, count):
    generator = torch.Generator().manual_seed(budget * count)
    for _ in range(20):
        scores = torch.rand(count, generator=generator).tolist()
        tokens = adaptive(scores, budget=budget, k_min=4, k_max=128)
        assert sum(tokens) <= budget
        assert min(tokens) >= min(4, budget // count)
        assert max(tokens) <= 128
        by_score = [k for _, k in sorted(zip(scores, tokens, strict=True))]
        assert by_score == sorted(by_score)


def test_uniform():
    assert uniform(7, budget=8192, k_max=32) == [32] * 7
    assert uniform(7, budget=100, k_max=32) == [14] * 7


def test_head_tail_and_random_positions():
    assert positions(3, total=8, keep="head", segment=0) == [0, 1, 2]
    assert positions(3, total=8, keep="tail", segment=0) == [5, 6, 7]
    drawn = [positions(3, total=8, keep="random", segment=s) for s in range(6)]
    assert drawn == [positions(3, total=8, keep="random", segment=s) for s in range(6)]
    assert len({tuple(p) for p in drawn}) > 1
    assert all(p == sorted(set(p)) and len(p) == 3 and p[-1] < 8 for p in drawn)


@pytest.mark.parametrize("keep", ["head", "tail", "random", "merge"])
@pytest.mark.parametrize("k", [1, 5, 8])
def test_what_is_needed_is_enough_to_select(keep, k):
    memory = torch.randn(8, 3)
    needed = tokens_needed(k, total=8, keep=keep, segment=2)
    kept = select(memory[:needed], k, total=8, keep=keep, segment=2)
    assert kept.shape == (k, 3)
    torch.testing.assert_close(kept, select(memory, k, total=8, keep=keep, segment=2))
    if keep != "merge":
        torch.testing.assert_close(kept, memory[positions(k, total=8, keep=keep, segment=2)])


def test_merge_joins_the_most_similar_first_and_weighs_by_what_a_row_stands_for():
    a, b = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    torch.testing.assert_close(merge(torch.stack([a, a, b, b]), 2), torch.stack([a, b]))
    rows = torch.randn(16, 4)
    torch.testing.assert_close(merge(rows, 16), rows)
    torch.testing.assert_close(merge(rows, 1), rows.mean(0, keepdim=True))
