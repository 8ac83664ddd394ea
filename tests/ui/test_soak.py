"""Nothing stays of visitors who left; `tests/soak.py` looks at it for longer."""

import gc
import time

import pytest

import soak
from tempo.ui import client_sessions


@pytest.mark.slow
def test_nothing_stays_of_visitors_who_left(serve, film, monkeypatch):
    monkeypatch.setattr(client_sessions, "LEAVE_SECONDS", 0.1)
    server = serve(library=(film.parent,))
    for _ in range(3):
        soak.visit(server.url, film)
    end = time.monotonic() + 60
    while remembered() and time.monotonic() < end:
        time.sleep(0.1)  # leaving takes the server a moment
    assert remembered() == []
    assert server.service.open_requests == 0
    assert server.service.uploads.all() == []
    assert len(server.service.watched) == 1  # for whoever comes next


def remembered():
    """Sessions and open films that are still in memory."""
    gc.collect()
    return [one for one in gc.get_objects() if type(one).__name__ in ("OpenVideo", "ClientSession")]
