"""The tutorial on fine-tuning, run as it stands."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tempo.cli.main import parser_of

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "fine-tuning.md").read_text(encoding="utf-8")
STEPS = re.findall(r"```(python)\n(.*?)```|^\$ (tempo [^\n]*)$", TEXT, re.DOTALL | re.MULTILINE)


def call(warm, folder, line):
    cache = {"TEMPO_CACHE": str(folder / "cache")}
    done = warm.run("-m", *shlex.split(line), cwd=folder, env=os.environ | cache)
    assert done.returncode == 0, (line, done.stderr)
    return done.stdout


@pytest.mark.slow
def test_the_tutorial_works(warm, tmp_path):
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    said = {}
    for kind, script, line in STEPS:
        if kind:
            subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
            records = {
                name: (tmp_path / "films" / f"{name}.jsonl").read_text() for name in ("mine", "held-out")
            }
            assert [len(text.splitlines()) for text in records.values()] == [20, 4]
            assert "0-005" not in records["mine"]
        else:
            said[line] = call(warm, tmp_path, line)
    checked = next(text for line, text in said.items() if "--check" in line)
    assert "mine: 20" in checked
    assert "one device" in checked
    log = [json.loads(line) for line in (tmp_path / "runs/mine/log.jsonl").read_text().splitlines()]
    steps = [entry for entry in log if "loss" in entry]
    assert steps[-1]["loss"] < 0.4 * steps[0]["loss"]
    held_out = [entry["validation"]["loss"] for entry in log if "validation" in entry]
    assert min(held_out) < held_out[0]
    trained = next(text for line, text in said.items() if "held-out" in line)
    assert f"loss {held_out[0]:.4f} → {min(held_out):.4f}" in trained
    before, after = (text for line, text in said.items() if line.startswith("tempo ask"))
    assert not before.startswith("The right one is"), before
    assert after.startswith("The right one is"), after
    assert (tmp_path / "runs/full/model/config.json").is_file()


def test_its_commands_for_the_published_weights_are_accepted():
    lines = re.findall(r"^(?:torchrun .* -m )?(tempo train recipes/tempo-6b.*)$", TEXT, re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        args = parser_of("train").parse_args(shlex.split(line)[2:])
        assert (ROOT / args.recipe).is_file()
