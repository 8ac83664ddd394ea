"""Seconds in answers become clock times, lengths of time do not, and streaming changes nothing."""

import random

import pytest

from tempo.inference.timestamps import ClockTimes, with_clock_times

CASES = {
    "284.0 seconds": "04:44",
    "At 284s, and again at 3725.9 s.": "At 04:44, and again at 1:02:05.",
    "Between 10 and 20 seconds it turns": "Between 00:10 and 00:20 it turns",
    "From 61 to 125 seconds.": "From 01:01 to 02:05.",
    "from 61 seconds to 125 seconds": "from 01:01 to 02:05",
    "12-16 s": "00:12-00:16",
    "at 1 minute and 5 seconds": "at 01:05",
    "at 1 hour, 2 minutes and 3 seconds": "at 1:02:03",
    "5 seconds into the video": "00:05 into the video",
    "It stays for 5 seconds.": "It stays for 5 seconds.",
    "It lasts about 5 seconds, from 10 s on": "It lasts about 5 seconds, from 00:10 on",
    "5 seconds later it goes": "5 seconds later it goes",
    "in the first 30 seconds": "in the first 30 seconds",
    "30 frames per second": "30 frames per second",
    "3 squares and 2 sails": "3 squares and 2 sails",
    "7 shapes at 8 seconds": "7 shapes at 00:08",
    "at 04:44 or version 1.2.3 s": "at 04:44 or version 1.2.3 s",
    "mp4s x2s 5": "mp4s x2s 5",
    "0.4 seconds": "00:00",
}


@pytest.mark.parametrize("text", CASES)
def test_moments_become_clock_times(text):
    assert with_clock_times(text) == CASES[text]


@pytest.mark.parametrize("text", [*CASES, " and then ".join(CASES)])
def test_a_stream_shows_the_same_text(text):
    rng = random.Random(text)
    for _ in range(60):
        stream, shown, at = ClockTimes(), "", 0
        while at < len(text):
            step = rng.randint(1, 6)
            shown += stream.add(text[at : at + step])
            at += step
        assert shown + stream.close() == CASES.get(text, with_clock_times(text))


def test_what_is_no_time_is_not_held_back():
    stream = ClockTimes()
    assert stream.add("The circle is r") == "The circle is r"
    assert stream.add("ed at 1") == "ed at "
    assert stream.add("2 seconds. ") == "00:12. "
