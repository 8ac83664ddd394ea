"""What a newcomer does first, with the embedded model: the demo, the command, the README's Python."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tempo.inference.engine import EMBEDDED
from tempo.synthetic.answer_scoring import is_correct
from tempo.synthetic.video_files import FileSpec, make_file

ROOT = Path(__file__).parents[1]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (EMBEDDED / "config.json").is_file(), reason="no embedded model yet"),
]


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Forty seconds of the drawn world, as README's commands name it."""
    path = tmp_path_factory.mktemp("first-steps") / "films" / "0-000.mp4"
    path.parent.mkdir()
    make_file(path, FileSpec(seconds=40, height=240, fps=10, held_out=True), seed="first", questions=24)
    return path


def run(*command, cwd):
    return subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, encoding="utf-8", timeout=900, check=False
    )


def test_most_questions_are_answered_right_from_the_command_line(film, warm):
    questions = json.loads(film.with_suffix(".json").read_text(encoding="utf-8"))["questions"]
    asked = [q for q in questions if q["kind"] in ("colour", "shape", "direction", "exists")][:4]
    right = 0
    for question in asked:
        command = ("-m", "tempo", "ask", film, question["text"], "--json", "--cache", "none")
        done = warm.run(*command, cwd=film.parent)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["model"] == "tempo-nano"
        assert found["finished"]
        right += is_correct(question, found["answer"], window=4.0)
    assert right >= 3


def test_the_python_of_the_readme_runs(film):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    done = run(sys.executable, "-c", code, cwd=film.parents[1])
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 1 + 10 + 1
    assert all(re.fullmatch(r"\d+-\d+ s: relevance [01]\.\d\d, \d+ tokens", line) for line in lines[1:11])


@pytest.mark.alone
def test_the_demo_answers_right_and_its_second_question_takes_under_a_fifth(tmp_path):
    shutil.copytree(ROOT / "demo", tmp_path / "demo", ignore=shutil.ignore_patterns("out"))
    done = run(sys.executable, tmp_path / "demo" / "run.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "10:00 of H.264" in done.stdout
    assert done.stdout.count("✓ correct") == 2
    assert re.search(r"1/\d+ of the first one's time", done.stdout)
    first, second = (
        float(seconds) for seconds in re.findall(r"^ *(\d+\.\d+) s = ", done.stdout, re.MULTILINE)
    )
    assert second < first / 5
