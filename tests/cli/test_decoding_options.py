"""`--sampling` and `--decode-workers`, as users type them."""

import json
import warnings

import pytest

import clips
import tempo
from tempo.cli.main import main


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    options = {"g": "15", "x264-params": "scenecut=0"}
    return clips.write(tmp_path_factory.mktemp("films") / "film.mp4", count=400, rate=10, options=options)


@pytest.fixture
def call(monkeypatch, tmp_path, capsys):
    """Call the command line; (status, stdout, stderr)."""
    monkeypatch.setenv("TEMPO_CACHE", str(tmp_path / "cache"))

    def run(*arguments):
        with warnings.catch_warnings():
            status = main(list(map(str, arguments)))
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def test_another_sampling_never_gets_what_was_kept(call, film, nano):
    """In the disk cache, between two commands: exact, keyframes, exact again."""
    ask = ("ask", film, "What is there?", "--json", "--cache", "disk", "--max-frames", "16")
    begun = [json.loads(call(*ask, *options)[1]) for options in ((), ("--sampling", "keyframes"), ())]
    starts = [[segment["timestamp"] for segment in answer["segments"]] for answer in begun]
    assert starts[0] == starts[2]
    assert starts[0] != starts[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {"max_frames": 16, "cache": "none", "progress": None}
        fresh = nano.watch(film, sampling="keyframes", **options).ask("What is there?")
    assert [segment.timestamp for segment in fresh.segments] == pytest.approx(starts[1])
    assert fresh.text == begun[1]["answer"]


def test_a_file_without_keyframes_near_says_so_in_one_line(call, tmp_path):
    plain = clips.write(tmp_path / "clip.ts", count=100, rate=10)
    status, out, err = call("ask", plain, "What is there?", "--json", "--sampling", "keyframes")
    assert status == 0
    assert sum("no keyframe of this file" in line for line in err.splitlines()) == 1
    assert any("no keyframe of this file" in warning for warning in json.loads(out)["warnings"])


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--decode-workers", "0"), "--decode-workers: must be a whole number of at least 1"),
        (("--decode-workers", "many"), "--decode-workers: must be a whole number of at least 1"),
        (("--sampling", "nearest"), "--sampling: invalid choice: 'nearest'"),
    ],
)
def test_what_can_never_work(call, film, options, error, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["ask", str(film), "What is there?", *options])
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    assert error in said


def test_several_decoders_give_the_same_answer(call, film):
    answers = [
        json.loads(call("ask", film, "What is there?", "--json", "--decode-workers", workers)[1])
        for workers in ("1", "3", "auto")
    ]
    assert answers[0]["answer"] == answers[1]["answer"] == answers[2]["answer"]
    assert answers[0]["segments"] == answers[1]["segments"] == answers[2]["segments"]


def test_a_batch_says_for_each_case_how_to_sample(call, film, tmp_path):
    cases = [
        {"video_path": str(film), "query": "What is there?", "options": {"sampling": mode, "max_frames": 16}}
        for mode in ("exact", "keyframes", "nearest")
    ]
    path, results = tmp_path / "cases.json", tmp_path / "results.jsonl"
    path.write_text(json.dumps(cases))
    status, _, _ = call("batch", path, "--output", results, "--decode-workers", "2")
    records = {record["id"]: record for record in map(json.loads, results.read_text().splitlines())}
    assert status == 1
    times = [[segment["timestamp"] for segment in records[number]["segments"]] for number in (1, 2)]
    assert times[0] != times[1]
    assert "sampling='nearest': choose from exact, keyframes" in records[3]["error"]


def test_it_goes_with_a_model_in_python(film, nano):
    video = tempo.Video.open(film)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nano.watch(video, max_frames=8, decode_workers=2, cache="none", progress=None)
    assert video.decode_workers == 2
