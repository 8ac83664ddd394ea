"""Fixtures of the tests of videos."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest


@pytest.fixture
def threads() -> Callable[[], list[str]]:
    """The names of Tempo's threads that run now, but not of those that ran before the test: models that other
    tests keep have their own."""
    others = set(threading.enumerate())

    def begun() -> list[str]:
        ours = [thread for thread in threading.enumerate() if thread not in others]
        return [thread.name for thread in ours if thread.name.startswith("tempo")]

    return begun
