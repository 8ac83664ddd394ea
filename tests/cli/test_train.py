"""What `tempo train` says, in this process: it has to come before anything slow is begun."""

import pytest

from tempo.cli.main import main
from tempo.training.config import documented


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, "name a recipe, or a run with --resume"),
        (["nothing.yaml"], 2, "nothing.yaml: no such recipe"),
        (["--resume", "nowhere"], 2, "nowhere: no run to resume"),
        (
            ["RECIPE", "batch.micro_batch=2"],
            2,
            "unknown field batch.micro_batch; did you mean batch.micro_batch_size?",
        ),
        (["RECIPE", "batch.micro_batch_size"], 2, "use the form key=value"),
        (["RECIPE", "--resume", "nowhere"], 2, "leave RECIPE out"),
        (["--check", "RECIPE"], 1, "mine.jsonl: no such file; check the path"),
        (["RECIPE", "model.start=./nothing"], 1, "./nothing: there is no such folder"),
        (["RECIPE", "device=cuda:77"], 1, "device=cuda:77: not available on this machine"),
    ],
)
def test_mistakes_are_one_line(tmp_path, monkeypatch, capsys, arguments, status, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.yaml").write_text(
        "model: {start: nano}\nlearning_rates: {projector: 0.001}\n"
        "data: [{path: mine.jsonl}]\nschedule: {steps: 1}\n"
    )
    assert main(["train", *(a.replace("RECIPE", "recipe.yaml") for a in arguments)]) == status
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert message in said


def test_every_field_can_be_listed(capsys):
    assert main(["train", "--fields"]) == 0
    listed = capsys.readouterr().out
    for name, *_ in documented():
        assert f"{name}: " in listed
