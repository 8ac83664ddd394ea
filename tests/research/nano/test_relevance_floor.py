"""The floor of relevance is chosen by what it loses and what it keeps out."""

import pytest

from research.nano.relevance_floor import (
    Search,
    choose,
    searches,
    table,
)
from tempo import load


def found(there, *best, wide=False):
    return [Search("a star", "phrase", there, 20, wide, value) for value in best]


def test_the_highest_floor_that_loses_next_to_nothing_is_taken():
    sure = found(True, *[0.99] * 300) + found(True, *[0.99] * 300, wide=True)
    assert choose(sure) == 0.5, "no higher, however sure"
    assert choose(sure + found(True, 0.33)) == 0.5, "one of 301 may be lost"
    assert choose(sure + found(True, 0.33, 0.33, 0.33, wide=True)) == 0.3
    assert choose(found(True, 0.99) + found(True, 0.99, wide=True)) == 0.0, "too few to say"


def test_the_table_has_shares_of_what_is_there_and_of_what_is_not():
    rows = table(found(True, 0.9, 0.4) + found(False, 0.01, 0.2, 0.6, 0.7)).splitlines()
    assert rows[0] == "| floor | plain, named and there (2) | plain, named and not there (4) |"
    assert "| 0.5 | 50.0 % | 50.0 % |" in rows
    assert "| 0.3 | 100.0 % | 50.0 % |" in rows


@pytest.mark.slow
def test_as_many_things_are_looked_for_that_are_there_as_are_not(tmp_path):
    some = list(searches(load(), 0, tmp_path, looks=2, questions=3))
    assert [search.there for search in some[:12]] == [True] * 3 + [False] * 3 + [True] * 3 + [False] * 3
    assert [search.kind for search in some[:3]] == ["phrase", "exists", "when"]
    assert all(search.there for search in some[12:])
    assert max(s.best for s in some[:3]) > 0.5 > min(s.best for s in some if not s.there)
    assert list(tmp_path.iterdir()) == []
