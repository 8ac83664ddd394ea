"""Who computes next, and work that can be followed and stopped."""

import threading
import time

import pytest

from tempo.errors import TempoError
from tempo.ui.jobs import (
    Alive,
    Stopped,
    Task,
    Waiting,
    follow,
)
from tempo.ui.request_queue import Line

SOON = 10  # seconds


def test_first_come_first_served():
    line = Line(most_waiting=2)
    first, second, third = line.join(), line.join(), line.join()
    assert [ticket.ahead(0) for ticket in (first, second, third)] == [0, 1, 2]
    first.leave()
    assert [ticket.ahead(0) for ticket in (second, third)] == [0, 1]
    second.leave()
    second.leave()
    assert third.ahead(0) == 0


def test_several_at_once():
    line = Line(most_waiting=1, at_once=2)
    first, second, third = line.join(), line.join(), line.join()
    assert [ticket.ahead(0) for ticket in (first, second, third)] == [0, 0, 1]
    with pytest.raises(TempoError, match="1 other is waiting already"):
        line.join()
    second.leave()
    assert third.ahead(0) == 0


def test_nobody_waits_for_work_that_takes_too_long():
    line, ended = Line(0), threading.Event()
    with pytest.raises(TempoError, match=r"takes longer than 0\.1 s"):
        list(follow(line, Task(), lambda report: ended.wait(SOON), longest=0.1))
    assert len(line) == 1  # it still goes on
    ended.set()
    while len(line):
        time.sleep(0.01)


def test_whoever_gives_up_waiting_is_skipped():
    line = Line(most_waiting=2)
    first, second, third = line.join(), line.join(), line.join()
    second.leave()
    assert third.ahead(0) == 1
    first.leave()
    assert third.ahead(0) == 0


def test_only_so_many_may_wait():
    line = Line(most_waiting=1)
    line.join()
    line.join()
    with pytest.raises(TempoError, match="1 other is waiting already"):
        line.join()


def test_work_is_followed_to_its_end():
    def work(report):
        for number in range(3):
            report(number)

    line = Line(1)
    assert [event for event in follow(line, Task(), work) if not isinstance(event, Alive)] == [0, 1, 2]
    assert len(line) == 0


def test_what_the_work_raises_is_raised():
    def work(report):
        report("begun")
        raise TempoError("no such luck")

    line = Line(1)
    events = follow(line, Task(), work)
    assert next(events) == "begun"
    with pytest.raises(TempoError, match="no such luck"):
        list(events)
    assert len(line) == 0


def test_slow_work_gives_signs_of_life():
    released = threading.Event()

    def work(report):
        released.wait(SOON)

    events = follow(Line(1), Task(), work)
    first = next(events)
    assert isinstance(first, Alive)
    assert first.seconds > 0.1
    released.set()
    assert all(isinstance(event, Alive) for event in events)


def endless(ended):
    def work(report):
        try:
            while True:
                report("more")
                time.sleep(0.01)
        finally:
            ended.set()

    return work


def test_a_stopped_task_ends_its_work_and_then_frees_the_line():
    line, task, ended = Line(1), Task(), threading.Event()
    events = follow(line, task, endless(ended))
    assert next(events) == "more"
    assert len(line) == 1
    task.stop()
    with pytest.raises(Stopped):
        list(events)
    assert ended.wait(SOON)
    assert len(line) == 0


def test_closing_the_iterator_stops_the_work():
    line, ended = Line(1), threading.Event()
    events = follow(line, Task(), endless(ended))
    next(events)
    events.close()
    assert ended.wait(SOON)


def test_one_works_while_the_other_waits_its_turn():
    line, ended, order = Line(1), threading.Event(), []
    first = follow(line, Task(), endless(ended))
    next(first)
    second = follow(line, Task(), lambda report: order.append("second"))
    assert next(second) == Waiting(1)
    assert order == []
    first.close()
    assert ended.wait(SOON)
    list(second)
    assert order == ["second"]


def test_whoever_is_stopped_while_waiting_leaves_the_line():
    line, task = Line(1), Task()
    ahead = line.join()
    events = follow(line, task, lambda report: None)
    assert next(events) == Waiting(1)
    task.stop()
    with pytest.raises(Stopped):
        list(events)
    assert len(line) == 1
    ahead.leave()
