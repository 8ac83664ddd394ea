"""A process that was forked from one that has asked: it is told what to do, and never waits for ever."""

import os
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from reference_cases import REFERENCE
from tempo.video.video import Video

SCRIPT = f"""
import multiprocessing
import numpy as np
import torch
import tempo
from tempo.video.video import Video

torch.set_num_threads(2)
TINY = {str(REFERENCE / "tempo-tiny")!r}

def film():
    return Video.from_frames(np.zeros((16, 64, 96, 3), np.uint8), fps=2.0)

def ask(model):
    return model.watch(film()).ask("What is it?", max_new_tokens=3).text

def work(conn):
    told = []
    attempts = lambda: session.ask("Again?"), lambda: session.route("Again?"), lambda: model.watch(film())
    for attempt in attempts:
        try:
            attempt()
        except tempo.TempoError as error:
            told.append(str(error))
    conn.send((told, ask(tempo.load(TINY, device="cpu", dtype="float32"))))

model = tempo.load(TINY, device="cpu", dtype="float32")
session = model.watch(film())
before = session.ask("What is it?", max_new_tokens=3).text
context = multiprocessing.get_context("fork")
ours, theirs = context.Pipe()
child = context.Process(target=work, args=(theirs,), daemon=True)
child.start()
assert ours.poll(300), "the child hangs"
told, after = ours.recv()
assert after == before
assert len(told) == 3 and all("tempo.load in each worker" in line for line in told), told
assert session.ask("What is it?", max_new_tokens=3).text == before, "the parent goes on"
print("well")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_is_told_to_load_and_can():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(SCRIPT)],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.stdout == "well\n", done.stderr


def test_a_copy_that_is_sent_to_another_process_is_at_home_there(tiny):
    copy = pickle.loads(pickle.dumps(tiny))
    copy.check_process()
    video = Video.from_frames(np.zeros((8, 64, 96, 3), np.uint8), fps=2.0)
    answers = [one.watch(video, cache="none").ask("What?", max_new_tokens=3).text for one in (tiny, copy)]
    assert answers[0] == answers[1]
