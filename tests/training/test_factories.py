"""Samples and losses that a recipe takes from a module of somebody's own."""

import json
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from making import conversation, recipe, write_data, write_jsonl

from tempo.cli.main import main
from tempo.errors import TempoError, UsageError
from tempo.training.config import DataConfig, ObjectiveConfig, ScheduleConfig
from tempo.training.config_parsing import write_recipe
from tempo.training.trainer import train

TINY = Path(__file__).parents[1] / "reference" / "tempo-tiny"
MODULE = """
    from pathlib import Path

    from tempo.errors import UsageError
    from tempo.training.answer_objective import AnswerObjective
    from tempo.training.config import BudgetConfig
    from tempo.training.data.llava import ConversationRecord
    from tempo.training.data.sources import NoSampleError

    class Clips:
        size = None
        generated = False

        def __init__(self, context, *, folder, answer="yes"):
            if not answer:
                raise UsageError("answer is empty")
            self.processor, self.folder, self.answer = context.processor, folder, answer

        def name(self, index):
            return f"clip:{index}"

        def read(self, index, seed):
            if index % 2:
                raise NoSampleError
            record = ConversationRecord(f"{self.folder}/0.mp4", (("Is it?", self.answer),))
            return self.processor.process(record, name=self.name(index), seed=seed)

    class Doubled(AnswerObjective):
        def __init__(self, model, prompts, *, weight):
            super().__init__(model, BudgetConfig(), segment_chunk=2)
            self.loss_weights = {"loss": weight}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a module in it, which is the working directory but not on the path."""
    name = f"own_{os.getpid()}_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(MODULE))
    write_data(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", os.getcwd())])
    return name


def own(project, tmp_path, **options):
    source = DataConfig(factory=f"{project}:Clips", options={"folder": str(tmp_path), **options})
    once = ScheduleConfig(steps=1, warmup_steps=0)
    return replace(recipe(TINY, "unused", tmp_path / "run", schedule=once), data=(source,))


def test_a_module_in_the_working_directory_makes_the_samples(project, tmp_path):
    result = train(own(project, tmp_path))
    assert result.skipped == 0, "where there is nothing, another sample is taken without a word"
    (record,) = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert record["answer_tokens"] > 0


def test_the_console_script_finds_it_too(project, tmp_path):
    write_recipe(own(project, tmp_path), tmp_path / "recipe.yaml")
    source = Path(__file__).parents[2] / "src"
    script = "import sys; sys.path.remove(''); from tempo.cli.main import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", script, "train", "--check", str(tmp_path / "recipe.yaml")],
        env={**os.environ, "PYTHONPATH": str(source)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "data        Clips: generated without end" in done.stdout


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"factory": "PROJECT"}, r"data\.0\.factory: '.*' is not module:callable"),
        ({"factory": "no_such_module:Clips"}, r"data\.0\.factory: there is no module no_such_module"),
        ({"factory": "PROJECT:Films"}, r"data\.0\.factory: .* has no callable Films"),
        ({"factory": "PROJECT:Clips"}, r"data\.0\.options: missing a required argument: 'folder'"),
        (
            {"factory": "PROJECT:Clips", "options": {"folder": ".", "answers": 3}},
            r"data\.0\.options: got an unexpected keyword argument 'answers'",
        ),
        (
            {"factory": "PROJECT:Clips", "options": {"folder": ".", "answer": ""}},
            r"data\.0\.options: answer is empty",
        ),
    ],
)
def test_mistakes_are_one_line(project, tmp_path, capsys, source, message):
    source = source | {"factory": source["factory"].replace("PROJECT", project)}
    values = {
        "model": {"start": str(TINY)},
        "learning_rates": {"projector": 0.001},
        "schedule": {"steps": 1},
        "data": [source],
        "out": str(tmp_path / "run"),
        "device": "cpu",
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values))
    assert main(["train", "recipe.yaml"]) in (1, 2)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert re.search(message, said), said


def test_epochs_of_data_without_end_are_refused(project, tmp_path):
    mine = own(project, tmp_path)
    with pytest.raises(UsageError, match=r"schedule\.epochs counts records"):
        train(replace(mine, schedule=ScheduleConfig(epochs=1)))


def test_an_objective_of_ones_own(project, tmp_path):
    data = write_jsonl(tmp_path / "d.jsonl", [conversation("Is it?", "yes", video="0.mp4")] * 2)
    norms = []
    for weight in (1.0, 2.0):
        mine = recipe(
            TINY,
            data,
            tmp_path / f"run-{weight}",
            objective=ObjectiveConfig(factory=f"{project}:Doubled", options={"weight": weight}),
            schedule=ScheduleConfig(steps=1, warmup_steps=0),
        )
        train(mine)
        norms.append(json.loads((Path(mine.out) / "log.jsonl").read_text())["grad_norm"])
    assert norms[1] == pytest.approx(2 * norms[0], rel=1e-4)


def test_a_damaged_module_is_named(project, tmp_path):
    (tmp_path / f"broken_{project}.py").write_text("1 / 0")
    mine = own(project, tmp_path)
    source = DataConfig(factory=f"broken_{project}:Clips")
    with pytest.raises(TempoError, match=r"broken.* cannot be imported \(division by zero\)"):
        train(replace(mine, data=(source,)))
