"""What each variant keeps, told from the numbers of the adaptive one."""

import random

import pytest

from research.ablations.variants import (
    ADAPTIVE,
    Variant,
    budget_of,
    budget_shares,
    even,
    every_variant,
    inverted,
    kept_tokens,
    tight_share,
)
from tempo.inference import allocation

_RANDOM = random.Random(3)
RELEVANCE = [_RANDOM.random() ** 6 for _ in range(40)]


def counts(variant, *, budget=200, seed="a"):
    return kept_tokens(variant, RELEVANCE, budget=budget, k_min=1, k_max=16, seed=seed)


def test_equal_tokens_means_equal_to_the_last_one():
    spent = sum(counts(ADAPTIVE))
    assert spent < 200
    for spread in ("even", "shuffled", "inverted"):
        assert sum(counts(Variant(spread=spread))) == spent
    assert counts(Variant(spread="uniform")) == [5] * 40


def test_random_and_inverted_routing_only_move_the_numbers():
    plain = counts(ADAPTIVE)
    assert plain == allocation.adaptive(RELEVANCE, budget=200, k_min=1, k_max=16)
    for spread in ("shuffled", "inverted"):
        moved = counts(Variant(spread=spread))
        assert moved != plain
        assert sorted(moved) == sorted(plain)
    turned = counts(Variant(spread="inverted"))
    by_relevance = sorted(range(40), key=lambda segment: RELEVANCE[segment])
    falling = [turned[segment] for segment in by_relevance]
    assert falling == sorted(falling, reverse=True)
    assert inverted([1, 2, 16], [0.1, 0.5, 0.9]) == [16, 2, 1]


def test_shuffles_depend_on_the_seed_alone():
    shuffled = Variant(spread="shuffled")
    assert counts(shuffled) == counts(shuffled)
    assert counts(shuffled, seed="b") != counts(shuffled)


@pytest.mark.parametrize(("tokens", "segments"), [(7, 3), (40, 40), (55, 40), (640, 40), (161, 128)])
def test_even_numbers_differ_by_one_and_lie_evenly(tokens, segments):
    numbers = even(tokens, segments)
    assert (len(numbers), sum(numbers)) == (segments, tokens)
    assert max(numbers) - min(numbers) <= 1
    halves = sum(numbers[: segments // 2]), tokens * (segments // 2) / segments
    assert abs(halves[0] - halves[1]) < 1


def test_budgets_are_the_published_shares_down_to_one_token_a_segment():
    # 128 memory tokens a segment, as published: 0.25 to 16 of 16 a frame.
    assert [share * 128 for share in budget_shares(128)] == [2, 4, 8, 16, 32, 64, 128]
    assert [share * 16 for share in budget_shares(16)] == [1, 2, 4, 8, 16]
    caps = [budget_of(Variant(share=share), 128, k_max=16, own=1024) for share in budget_shares(16)]
    assert caps == [128, 256, 512, 1024, 2048]
    assert budget_of(ADAPTIVE, 128, k_max=16, own=1024) == 1024
    assert budget_of(Variant(share=tight_share(16)), 128, k_max=16, own=1024) == 160
    assert budget_of(Variant(share=0.001), 7, k_max=16, own=1024) == 7


def test_every_variant_has_a_name_of_its_own():
    variants = every_variant(16)
    assert ADAPTIVE in variants
    assert len({variant.name for variant in variants}) == len(variants)
    for variant in variants:
        kept = counts(variant, budget=budget_of(variant, 40, k_max=16, own=1024))
        assert sum(kept) <= budget_of(variant, 40, k_max=16, own=1024)
        assert min(kept) >= 1
