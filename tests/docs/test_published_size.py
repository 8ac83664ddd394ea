"""The pages about the published size: what they tell to convert, check, train and evaluate fits together."""

import json
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

import clips
from released_layouts import LLAVA_PRETRAIN, LLAVA_VIDEO, QVHIGHLIGHTS, SHAREGPT4VIDEO
from tempo.cli.eval import _folder
from tempo.cli.main import main, parser_of
from tempo.training.config_parsing import read_recipe
from tempo.training.data.released import main as convert

ROOT = Path(__file__).parents[2]
TRAINING = (ROOT / "docs" / "training-6b.md").read_text(encoding="utf-8")
REPRODUCING = (ROOT / "docs" / "reproducing.md").read_text(encoding="utf-8")
# Released files by the names that the page uses, and the media that their records are about.
FILES = {
    "blip_laion_cc_sbu_558k.json": LLAVA_PRETRAIN,
    "sharegpt4video_40k.jsonl": SHAREGPT4VIDEO,
    "llava-video/0_30_s_academic_v0_1/0_30_s_academic_oe_v0_1_qa_processed.json": LLAVA_VIDEO,
    "llava-video/0_30_s_academic_v0_1/0_30_s_academic_mc_v0_1_qa_processed.json": LLAVA_VIDEO,
    "highlight_train_release.jsonl": QVHIGHLIGHTS,
}
PICTURES = ("00453/004539375.jpg", "00223/002239345.jpg")
VIDEOS = ("academic_source/sutd/b1.mp4", "panda/j5JqNXjGufw.mp4", "bP5KfdFJzC4_660.0_810.0.mp4")


def commands(text, call):
    """The arguments of every command of a page that begins with `call`."""
    lines = re.findall(rf"^\$ {re.escape(call)} (.*)$", text, re.MULTILINE)
    return [shlex.split(line) for line in lines]


@pytest.fixture
def released(tmp_path, monkeypatch):
    """A working directory with the downloads."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name, records in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps(one) + "\n" for one in records)
        file.write_text(json.dumps(records) if file.suffix == ".json" else lines)
    for name in PICTURES:
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 48)).save(tmp_path / "images" / name)
    for name in VIDEOS:
        path = tmp_path / "videos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        clips.write(path, count=100, rate=2, size=(64, 48))
    return tmp_path


def test_the_converted_data_passes_the_checks_of_all_stages(released, monkeypatch, capsys):
    monkeypatch.setattr("tempo.cli.train.print_memory", lambda recipe, spec: None)
    converted = commands(TRAINING, "python -m tempo.training.data.released")
    assert len(converted) == 5
    for arguments in converted:
        patterns = [name for name in arguments if "*" in name]
        found = [str(file.relative_to(released)) for name in patterns for file in released.glob(name)]
        if patterns:
            at = arguments.index(patterns[0])
            arguments[at : at + 1] = found
        assert convert(arguments) == 0, capsys.readouterr().err
    (released / "long.jsonl").write_bytes((released / "clips.jsonl").read_bytes())  # yours
    stages = commands(TRAINING, "torchrun --nproc-per-node 8 -m tempo")
    assert [arguments[1] for arguments in stages] == [f"tempo-6b/stage-{number}" for number in range(4)]
    for arguments in stages:
        capsys.readouterr()
        assert main(["train", "--check", *arguments[1:]]) == 0, capsys.readouterr().err
        said = capsys.readouterr().out
        sources = len(read_recipe(arguments[1]).data)
        assert len(re.findall(r"^data .* records", said, re.MULTILINE)) == sources
        assert "cannot be used" not in said


def test_checks_that_the_page_shows_name_fields_that_exist():
    shown = commands(TRAINING, "tempo train --check")
    assert len(shown) == 2
    for name, *overrides in shown:
        read_recipe(name, overrides)


def test_reports_are_made_of_the_folders_that_the_runs_write():
    runs = [parser_of("eval").parse_args(arguments) for arguments in commands(REPRODUCING, "tempo eval")]
    written = {_folder(run) for run in runs if run.tasks[0] != "report"}
    (report,) = [run for run in runs if run.tasks[0] == "report"]
    assert {Path(name) for name in report.tasks[1:]} <= written


def test_both_pages_ask_make_for_targets_that_it_has():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for (target,) in [*commands(TRAINING, "make"), *commands(REPRODUCING, "make")]:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
