"""Values that nobody means are refused in one line, and never computed with."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import clips
import tempo
from reference_cases import CASES, video_of
from tempo.batch.cases import read_cases
from tempo.cli.main import main
from tempo.errors import TempoError, UsageError
from tempo.inference.prefix_cache import DiskCache
from tempo.reporting.output_path import check_output
from tempo.training.config_parsing import read_recipe
from tempo.video.sampling import check_options
from tempo.video.video import Video

HUGE = 10**400  # more than a float holds
CASE = CASES["single_image"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return clips.write(tmp_path_factory.mktemp("clip") / "clip.mp4", count=30, rate=10, size=(64, 64))


@pytest.mark.parametrize("fps", [0, -1, 1e9, 1001, 1e-9, HUGE, -HUGE, float("nan"), float("inf"), True, "2"])
def test_rates_that_cannot_be_watched(fps):
    with pytest.raises(UsageError, match="fps must be a positive number of frames per second") as caught:
        check_options(fps=fps, max_frames=8, min_frames=4, sampling="exact")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("count", [0, -1, HUGE, 1.5, True, "8", None])
def test_numbers_of_frames_that_cannot_be_watched(clip, count):
    with pytest.raises(UsageError, match="max_frames must be a whole number of at least 1"):
        Video.open(clip).sample(max_frames=count)


@pytest.mark.parametrize(
    "option",
    [
        *({"temperature": value} for value in (-1, HUGE, float("nan"), float("inf"), "0.5", None)),
        *({"top_p": value} for value in (0, 1.5, HUGE, float("nan"), "0.5", None)),
        *({"budget": value} for value in (0, HUGE, 2.5, "8")),
        *({"max_new_tokens": value} for value in (0, HUGE, 2.5, None)),
        {"keep": ["head"]},
    ],
)
def test_options_of_answers(engine, tmp_path, option):
    session = engine.watch(video_of(CASE, tmp_path))
    with pytest.raises(UsageError, match=next(iter(option))) as caught:
        session.ask("What?", **option)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("temperature", [5e-324, 1e-40, 1e-30, 1e-7])
def test_a_temperature_next_to_nothing_takes_the_likeliest_token(engine, tmp_path, temperature):
    session = engine.watch(video_of(CASE, tmp_path))
    likeliest = session.ask(CASE.query, max_new_tokens=8)
    assert session.ask(CASE.query, max_new_tokens=8, temperature=temperature).token_ids == likeliest.token_ids


@pytest.mark.parametrize("option", [{"temperature": 1e300}, {"top_p": 1e-300, "temperature": 1.0}])
def test_extremes_that_mean_something(engine, tmp_path, option):
    session = engine.watch(video_of(CASE, tmp_path))
    assert session.ask("What?", max_new_tokens=4, **option).token_ids


@pytest.mark.parametrize("path", [["a.mp4"], None, 7, {"path": "a.mp4"}, ("a", "b")])
def test_paths_that_are_none(path):
    with pytest.raises(UsageError, match="a video is a path or an address"):
        Video.open(path)
    if path is not None:
        with pytest.raises(UsageError, match="a model is a folder or a hub name"):
            tempo.load(path)


def test_a_path_of_bytes_is_one(clip):
    assert Video.open(bytes(clip)).duration == pytest.approx(3.0)


@pytest.mark.parametrize(
    "name", ["/proc/self/mem", "/proc/self", "/dev/zero", "a\0b", "x" * 5000, "\udc80.mp4"]
)
def test_files_that_are_none(name):
    if name.startswith("/") and not Path(name).exists():
        pytest.skip("this system has no such file")
    with pytest.raises(TempoError) as caught:
        Video.open(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["", " ", "~nobody-of-this-name/model", "x" * 5000, "a\0b", "/proc/self/mem"]
)
def test_models_that_are_none(name, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(TempoError) as caught:
        tempo.load(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        ({"options": {"fps": HUGE}}, "'fps' must be a number"),
        ({"options": {"budget": HUGE}}, "'budget' must be a whole number"),
        ({"options": {"max_frames": 10**30}}, "'max_frames' must be a whole number"),
        ({"options": {"temperature": -HUGE}}, "'temperature' must be a number"),
        ({"video_path": ["a.mp4"]}, "'video_path' must be a non-empty string"),
        ({"query": {"text": "What?"}}, "'query' must be a non-empty string"),
    ],
)
def test_batch_cases(tmp_path, one, words):
    path = tmp_path / "cases.json"
    path.write_text(json.dumps([{"video_path": "a.mp4", "query": "What?"} | one]))
    (read,) = read_cases(path, {})
    assert words in read.error
    assert len(read.error) < 200


@pytest.mark.parametrize("text", ["[" * 100_000, '[{"a":' * 50_000, f"[{'9' * 5000}]"])
def test_batch_files_that_no_reader_can_take(tmp_path, text):
    (tmp_path / "cases.json").write_text(text)
    with pytest.raises(TempoError, match="not JSON"):
        read_cases(tmp_path / "cases.json", {})


@pytest.mark.parametrize("given", ["-1", "-0.001", "nan", "-inf", "inf", "1e999", "many", ""])
def test_cache_sizes_that_are_none(tmp_path, monkeypatch, given):
    monkeypatch.setenv("TEMPO_CACHE_GB", given)
    with pytest.raises(UsageError, match="TEMPO_CACHE_GB"):
        DiskCache(tmp_path)


@pytest.mark.parametrize(
    "field",
    [
        "learning_rates.decoder=1e99",
        "learning_rates.projector=1.5",
        "learning_rates.memory=-1e-3",
        f"learning_rates.vision={HUGE}",
        "data.0.weight=1e308",
        "optimizer.weight_decay=1e99",
        "objective.relevance_weight=1e99",
        "video.fps=1e9",
        "seed=-1",
        f"seed={10**30}",
        "schedule.steps=0",
        f"schedule.steps={HUGE}",
        "schedule.epochs=1e99",
        f"batch.segment_chunk={10**30}",
        f"batch.max_questions={HUGE}",
        f"video.max_frames={10**12}",
        f"budget.tokens={10**30}",
        "data.²=1",
        f"data.{'9' * 5000}=1",
    ],
)
def test_recipes(tmp_path, field):
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "model: {start: nano}\nlearning_rates: {projector: 0.001}\n"
        "data: [{path: mine.jsonl}]\nschedule: {steps: 1}\n"
    )
    read_recipe(path)
    with pytest.raises(UsageError) as caught:
        read_recipe(path, [field] if "epochs" not in field else [field, "schedule.steps=null"])
    assert field.partition("=")[0] in str(caught.value)


@pytest.mark.parametrize(
    "option",
    [("--fps", "1e9"), ("--fps", "0"), ("--fps", "nan"), ("--max-frames", "9" * 5000), ("--budget", "-1")],
)
def test_the_command_line_refuses_them_before_anything_is_read(option, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["ask", "no-such-file.mp4", "What?", *option])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"tempo: {option[0]}: must be ")
    assert said.count("\n") == 1
    assert len(said) < 300


def test_one_frame_is_watched_with_a_remark(clip, capsys):
    assert main(["ask", str(clip), "What?", "--max-frames", "1", "--json", "--max-new-tokens", "2"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["video"]["frames"] == 1
    assert "--max-frames 1: only the first frame is watched" in err.splitlines()[0]


@pytest.mark.parametrize("name", ["x" * 300 + ".svg", "a\0b.svg", "\ud83d.svg", ".svg", "a.svg/b.svg", ""])
def test_names_of_plots_that_no_file_can_have(tmp_path, name):
    (tmp_path / "a.svg").write_text("a file, and no folder")
    with pytest.raises(TempoError) as caught:
        check_output(f"{tmp_path}/{name}", [".png", ".svg"])
    assert "\n" not in str(caught.value)


def test_a_plot_may_have_the_longest_name_that_a_file_can_have(engine, tmp_path):
    video = video_of(CASE, tmp_path)
    answer = engine.watch(video).ask("Where is the \ud83d?", max_new_tokens=2)
    path = tmp_path / ("x" * 251 + ".svg")
    answer.save(path, video=video)
    assert "Where is the " in path.read_text(encoding="utf-8")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_devices_are_no_files(tmp_path):
    """They would be read for ever."""
    for path in ("/dev/full", "/dev/zero", "/dev/null"):
        with pytest.raises(TempoError, match="a device, not a file"):
            read_cases(Path(path), {})
        with pytest.raises(TempoError, match="a device, not a file"):
            read_recipe(path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
@pytest.mark.parametrize("verb", ["models", "completion bash", "train --fields"])
def test_an_output_that_is_full_or_closed_is_no_fault_of_ours(verb):
    run = [sys.executable, "-m", "tempo", *verb.split()]
    with open("/dev/full", "w") as full:
        done = subprocess.run(run, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("tempo: cannot write a file (No space left on device)")
    assert done.stderr.count("\n") == 1
    for closing in ("<&-", ">&-", "2>&-"):
        shell = ["sh", "-c", f'exec "$@" {closing}', "sh", *run]
        done = subprocess.run(shell, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "--resume", "LONG"),
        ("train", "LONG"),
        ("train", "--check", "RECIPE", "data.0.path=LONG"),
        ("train", "RECIPE", "out=LONG"),
        ("eval", "videomme", "--data", "LONG", "--check"),
        ("moments", "CLIP", "a circle", "--clips", "LONG"),
        ("batch", "LONG", "--output", "a.jsonl"),
    ],
)
def test_names_that_no_file_can_have_are_one_line(tmp_path, clip, capsys, arguments):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "model: {start: nano}\nlearning_rates: {projector: 0.001}\n"
        "data: [{path: a.jsonl}]\nschedule: {steps: 1}\n"
    )
    given = {"LONG": "x" * 5000, "RECIPE": str(recipe), "CLIP": str(clip)}
    for name, value in given.items():
        arguments = [one.replace(name, value) for one in arguments]
    assert main(arguments) in (1, 2)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "bug in tempo" not in said
