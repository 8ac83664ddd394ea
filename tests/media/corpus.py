"""All recordings of the corpus."""

from __future__ import annotations

from functools import cache

from .cases import Case
from .clocks import clocks
from .cuts import cuts
from .formats import formats
from .indexes import indexes
from .structures import structures

UNMENDED: set[str] = set()
"""Cases that come out wrong and are known to. Remove the ones that you mend."""


@cache
def corpus() -> dict[str, Case]:
    """Every case by its name."""
    cases = [*clocks(), *indexes(), *formats(), *structures(), *cuts()]
    named = {case.name: case for case in cases}
    assert len(named) == len(cases), "two cases of one name"
    return named
