"""Nothing stays of visitors who left; `tests/soak.py` looks at it for longer."""

import gc
import time

import pytest

import soak


@pytest.mark.slow
def test_nothing_stays_of_visitors_who_left(serve, film):
    server = serve(allowed=(film.parent,))
    for _ in range(3):
        soak.Visitor(server.url).come(film)
    end = time.monotonic() + 60
    while remembered(server) and time.monotonic() < end:
        time.sleep(0.1)  # leaving takes the server a moment
    assert remembered(server) == []
    assert len(server.clients.request_queue) == 0


def remembered(server):
    """Sessions and films that are still in memory."""
    gc.collect()
    films = [thing for thing in gc.get_objects() if type(thing).__name__ == "OpenVideo"]
    return [*server._page.state_holder.session_data, *films]
