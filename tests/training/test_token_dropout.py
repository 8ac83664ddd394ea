import random

from tempo.inference import allocation
from tempo.training.token_dropout import kept_tokens, random_tokens

OPTIONS = {"budget": 60, "k_min": 1, "k_max": 16}


def test_random_numbers_stay_within_budget_and_limits():
    rng = random.Random(0)
    for _ in range(2000):
        count = rng.randint(1, 40)
        counts = random_tokens(count, rng=rng, budget=60, k_min=2, k_max=16)
        assert len(counts) == count
        assert sum(counts) <= 60
        assert min(counts) >= min(2, 60 // count)
        assert max(counts) <= 16
    seen = {random_tokens(1, rng=rng, budget=60, k_min=2, k_max=16)[0] for _ in range(2000)}
    assert seen == set(range(2, 17)), "every number is met"


def test_small_numbers_are_as_likely_as_large_ones():
    rng = random.Random(1)
    drawn = [random_tokens(1, rng=rng, **OPTIONS)[0] for _ in range(4000)]
    assert 0.45 < sum(k <= 4 for k in drawn) / 4000 < 0.6


def test_the_share_is_kept_and_the_rest_is_as_answering_does():
    relevance = [0.1, 0.9, 0.4, 0.2, 0.7]
    rng = random.Random(2)
    expected = allocation.adaptive(relevance, **OPTIONS)
    options = OPTIONS | {"rng": rng, "how": "adaptive"}
    assert kept_tokens(relevance, random_share=0.0, **options) == expected
    same = sum(kept_tokens(relevance, random_share=0.3, **options) == expected for _ in range(1000))
    assert 650 < same < 750
    uniform = kept_tokens(relevance, random_share=0.0, **options | {"how": "uniform"})
    assert uniform == allocation.uniform(5, budget=60, k_max=16)
