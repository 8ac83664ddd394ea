"""Who computes next, and work that can be followed and stopped."""

import threading
import time

import pytest

from tempo.errors import TempoError
from tempo.ui.jobs import (
    Heartbeat,
    Queued,
    Stopped,
    Task,
    follow,
)
from tempo.ui.request_queue import RequestQueue

SOON = 10  # seconds


def test_first_come_first_served():
    queue = RequestQueue(max_queued=2)
    first, second, third = queue.join(), queue.join(), queue.join()
    assert [ticket.ahead(0) for ticket in (first, second, third)] == [0, 1, 2]
    first.leave()
    assert [ticket.ahead(0) for ticket in (second, third)] == [0, 1]
    second.leave()
    second.leave()
    assert third.ahead(0) == 0


def test_several_at_once():
    queue = RequestQueue(max_queued=1, concurrency=2)
    first, second, third = queue.join(), queue.join(), queue.join()
    assert [ticket.ahead(0) for ticket in (first, second, third)] == [0, 0, 1]
    with pytest.raises(TempoError, match="1 request is already waiting"):
        queue.join()
    second.leave()
    assert third.ahead(0) == 0


def test_nobody_waits_for_work_that_takes_too_long():
    queue, ended = RequestQueue(0), threading.Event()
    with pytest.raises(TempoError, match=r"gave up after 0\.1 s"):
        list(follow(queue, Task(), lambda report: ended.wait(SOON), timeout=0.1))
    assert len(queue) == 1  # it still goes on
    ended.set()
    while len(queue):
        time.sleep(0.01)


def test_whoever_gives_up_waiting_is_skipped():
    queue = RequestQueue(max_queued=2)
    first, second, third = queue.join(), queue.join(), queue.join()
    second.leave()
    assert third.ahead(0) == 1
    first.leave()
    assert third.ahead(0) == 0


def test_only_so_many_may_wait():
    queue = RequestQueue(max_queued=1)
    queue.join()
    queue.join()
    with pytest.raises(TempoError, match="1 request is already waiting"):
        queue.join()


def test_work_is_followed_to_its_end():
    def work(report):
        for number in range(3):
            report(number)

    queue = RequestQueue(1)
    assert [event for event in follow(queue, Task(), work) if not isinstance(event, Heartbeat)] == [0, 1, 2]
    assert len(queue) == 0


def test_what_the_work_raises_is_raised():
    def work(report):
        report("begun")
        raise TempoError("no such luck")

    queue = RequestQueue(1)
    events = follow(queue, Task(), work)
    assert next(events) == "begun"
    with pytest.raises(TempoError, match="no such luck"):
        list(events)
    assert len(queue) == 0


def test_slow_work_gives_signs_of_life():
    released = threading.Event()

    def work(report):
        released.wait(SOON)

    events = follow(RequestQueue(1), Task(), work)
    first = next(events)
    assert isinstance(first, Heartbeat)
    assert first.seconds > 0.1
    released.set()
    assert all(isinstance(event, Heartbeat) for event in events)


def endless(ended):
    def work(report):
        try:
            while True:
                report("more")
                time.sleep(0.01)
        finally:
            ended.set()

    return work


def test_a_stopped_task_ends_its_work_and_then_frees_the_queue():
    queue, task, ended = RequestQueue(1), Task(), threading.Event()
    events = follow(queue, task, endless(ended))
    assert next(events) == "more"
    assert len(queue) == 1
    task.stop()
    with pytest.raises(Stopped):
        list(events)
    assert ended.wait(SOON)
    assert len(queue) == 0


def test_closing_the_iterator_stops_the_work():
    queue, ended = RequestQueue(1), threading.Event()
    events = follow(queue, Task(), endless(ended))
    next(events)
    events.close()
    assert ended.wait(SOON)


def test_one_works_while_the_other_waits_its_turn():
    queue, ended, order = RequestQueue(1), threading.Event(), []
    first = follow(queue, Task(), endless(ended))
    next(first)
    second = follow(queue, Task(), lambda report: order.append("second"))
    assert next(second) == Queued(1)
    assert order == []
    first.close()
    assert ended.wait(SOON)
    list(second)
    assert order == ["second"]


def test_whoever_is_stopped_while_waiting_leaves_the_queue():
    queue, task = RequestQueue(1), Task()
    ahead = queue.join()
    events = follow(queue, task, lambda report: None)
    assert next(events) == Queued(1)
    task.stop()
    with pytest.raises(Stopped):
        list(events)
    assert len(queue) == 1
    ahead.leave()
