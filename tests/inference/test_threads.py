"""Loading, watching and asking in threads, beside threads that build modules of their own."""

import subprocess
import sys

from reference_cases import REFERENCE

SCRIPT = f"""
import threading
import numpy as np
import torch
from torch import nn
import tempo
import tempo.devices
from tempo.video.video import Video

torch.set_num_threads(2)
register, default = nn.Module.register_parameter, torch.get_default_dtype()
frames = np.random.default_rng(0).integers(0, 255, (16, 64, 96, 3), dtype=np.uint8)
done, wrong, answers, models = threading.Event(), [], [], []

def build():
    # What a program does that trains something of its own meanwhile.
    while not done.is_set():
        net = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.Embedding(4, 8), nn.Conv1d(8, 8, 1))
        for name, one in [*net.named_parameters(), ("ones", torch.ones(2)), ("empty", torch.empty(2))]:
            if one.device.type != "cpu" or one.dtype is not default:
                wrong.append((name, one.device, one.dtype))

def use(folder):
    model = tempo.load(folder, device="cpu", dtype="float32")
    models.append(model)
    assert not any(p.is_meta for p in [*model.model.parameters(), *model.model.buffers()])
    for _ in range(2):
        session = model.watch(Video.from_frames(frames, fps=2.0))
        answer = session.ask("What is it?", max_new_tokens=4)
        answers.append((str(folder), answer.text, [round(s.relevance, 5) for s in answer.segments]))

def measure():
    found.append((tempo.devices.pick_dtype("auto", torch.device("cpu")), torch.get_num_threads()))

found = []
folders = [{str(REFERENCE / "tempo-tiny")!r}, None] * 2
builders = [threading.Thread(target=build) for _ in range(2)]
measuring = [threading.Thread(target=measure) for _ in range(4)]
users = [threading.Thread(target=use, args=(folder,)) for folder in folders]
for thread in [*builders, *users]:
    thread.start()
for thread in users:
    thread.join()
# One model, several sessions at once.
shared = [threading.Thread(target=lambda: answers.append((
    "shared", models[0].watch(Video.from_frames(frames, fps=2.0)).ask("What is it?", max_new_tokens=4).text)))
    for _ in range(3)]
for thread in shared:
    thread.start()
for thread in shared:
    thread.join()
done.set()
for thread in builders:
    thread.join()
for thread in measuring:
    thread.start()
for thread in measuring:
    thread.join()

assert not wrong, (len(wrong), wrong[0])
assert len(answers) == 2 * len(folders) + 3, answers
assert len({{repr(answer) for answer in answers}}) == 3, answers
assert nn.Module.register_parameter is register
assert torch.get_default_dtype() is default
assert nn.Linear(2, 2).weight.device.type == "cpu"
assert len({{dtype for dtype, _ in found}}) == 1, found
assert torch.get_num_threads() == 2, torch.get_num_threads()
counts = []
last = threading.Thread(target=lambda: counts.append(torch.get_num_threads()))
last.start()
last.join()
assert counts == [2], counts
print("well")
"""


def test_loading_watching_and_asking_in_threads():
    """In a process of its own: what this is about is the state of a whole process."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.stdout == "well\n", done.stderr
