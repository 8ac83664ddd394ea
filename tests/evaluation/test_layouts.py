"""The releases of the benchmarks as folders."""

import json
from pathlib import Path

import pytest

from tempo.errors import TempoError
from tempo.evaluation.benchmarks import (
    ALL,
    BENCHMARKS,
    DEBUG,
    tasks_of,
)
from tempo.evaluation.layouts import read_release
from tempo.evaluation.local_tasks import read_releases, write_tasks
from tempo.evaluation.miniature import RenderedVideo, write_releases
from tempo.evaluation.tasks import VIDEO, video_of
from tempo.synthetic.expressions import SyntheticQuestion

COLOURS = ("red", "green", "blue", "white")


def film(folder, number):
    """A film that nobody will watch, with two questions."""
    path = folder / f"film{number}.mp4"
    path.write_bytes(b"film")
    questions = [
        SyntheticQuestion("colour", f"What colour is thing {n}?\nA. red", "BC"[n], (), (), options=COLOURS)
        for n in (0, 1)
    ]
    return RenderedVideo(path.stem, path, 10.0, questions)


@pytest.fixture
def data(tmp_path):
    (tmp_path / "films").mkdir()
    write_releases(tmp_path / "data", [film(tmp_path / "films", number) for number in range(3)])
    return tmp_path / "data"


def no_parquet(path):
    raise AssertionError(f"{path} is not to be read as Parquet")


def read(task, data, read_table=no_parquet):
    return read_release(BENCHMARKS[task], data, read_table=read_table)


@pytest.mark.parametrize("task", BENCHMARKS)
def test_every_release_is_found_with_its_videos(task, data):
    release = read(task, data)
    assert len(release.items) == 6
    assert release.missing == []
    for item in release.items:
        (video,) = video_of(item)
        assert video.endswith(".mp4")
        assert Path(video).read_bytes() == b"film"


def test_items_are_as_lmms_evals_functions_want_them(data):
    # These fields are what the functions of its tasks read.
    first = {task: read(task, data).items[0] for task in BENCHMARKS}
    assert first["lvbench"]["question"].splitlines()[1:] == ["(A) red", "(B) green", "(C) blue", "(D) white"]
    assert first["lvbench"]["answer"] == "B"
    assert first["mlvu_dev"]["question"].splitlines()[1:] == ["(A) red", "(B) green", "(C) blue", "(D) white"]
    assert (first["mlvu_dev"]["answer"], first["mlvu_dev"]["task_type"]) == ("B", "plotQA")
    assert first["videomme"]["options"][1] == "B. green."
    assert first["videomme"]["duration"] == "short"
    long = first["longvideobench_val_v"]
    assert [long[f"option{n}"] for n in range(5)] == [*COLOURS, "N/A"]
    assert (long["correct_choice"], long["duration_group"]) == (1, 15)


def test_mlvu_calls_its_needles_as_lmms_eval_does(data):
    assert "needle" in {item["task_type"] for item in read("mlvu_dev", data).items}


def test_missing_videos_are_named_before_anything_runs(data):
    gone = data / "Video-MME" / "data" / "film1.mp4"
    gone.unlink()
    release = read("videomme", data)
    assert release.missing == [str(gone)]
    assert release.lost == 2


def test_a_video_may_lie_in_another_folder_or_be_another_container(data):
    old = data / "LVBench" / "all_videos" / "film0.mp4"
    new = data / "LVBench" / "part-3" / "film0.mkv"
    new.parent.mkdir()
    old.rename(new)
    assert read("lvbench", data).items[0][VIDEO] == str(new)


def test_of_videos_with_one_name_the_one_in_the_right_folder_is_taken(data):
    items = read("mlvu_dev", data).items
    assert len({Path(item[VIDEO]).name for item in items}) < len({item[VIDEO] for item in items})
    for item in items:
        assert item["task_type"] in Path(item[VIDEO]).parent.name


def test_the_folder_of_one_release_can_be_given_itself(data):
    assert len(read("lvbench", data / "LVBench").items) == 6


def test_parquet_is_read_by_whoever_can(data):
    folder = data / "Video-MME" / "videomme"
    rows = [json.loads(line) for line in (folder / "test.jsonl").read_text().splitlines()]
    (folder / "test.jsonl").rename(folder / "test-00000-of-00001.parquet")
    seen = []
    release = read("videomme", data, read_table=lambda path: seen.append(path.name) or rows)
    assert seen == ["test-00000-of-00001.parquet"]
    assert len(release.items) == 6


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: (data / "LVBench" / "video_info.meta.jsonl").unlink(), "no release of LVBench"),
        (lambda data: (data / "LVBench" / "video_info.meta.jsonl").write_text("{"), "cannot be read"),
        (lambda data: (data / "LVBench" / "video_info.meta.jsonl").write_text('{"x": 1}'), "video_path"),
        (lambda data: (data / "LVBench" / "video_info.meta.jsonl").write_text(""), "no questions"),
    ],
)
def test_broken_annotations_are_named(damage, words, data):
    damage(data)
    with pytest.raises(TempoError, match=words):
        read("lvbench", data)


def test_no_such_folder(tmp_path):
    with pytest.raises(TempoError, match="no such folder"):
        read("lvbench", tmp_path / "nowhere")


def test_data_is_for_the_four_benchmarks(data):
    with pytest.raises(TempoError, match="mvbench"):
        read_releases(["mvbench"], data, read_table=no_parquet)


def test_tasks_build_on_lmms_evals_own(data, tmp_path):
    package = tmp_path / "lmms_eval"
    theirs = package / "tasks" / "lvbench" / "lvbench.yaml"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("")
    releases = read_releases(["lvbench"], data, read_table=no_parquet)
    assert write_tasks(releases, tmp_path / "tasks", lmms_eval=package) == ["lvbench_local"]
    text = (tmp_path / "tasks" / "lvbench_local.yaml").read_text()
    assert f'include: "{theirs}"' in text
    assert "process_results" not in text  # prompts and scoring are theirs
    assert len((tmp_path / "tasks" / "lvbench.jsonl").read_text().splitlines()) == 6
    with pytest.raises(TempoError, match=r"the task .* is missing"):
        write_tasks(read_releases(["videomme"], data, read_table=no_parquet), tmp_path, lmms_eval=package)


def test_names_of_tasks():
    assert tasks_of([ALL]) == list(BENCHMARKS)
    assert tasks_of(["videomme", ALL])[0] == "videomme"
    assert len(tasks_of(["videomme", ALL])) == len(BENCHMARKS)
    assert tasks_of([DEBUG]) == ["videomme"]
    assert tasks_of(["mvbench"]) == ["mvbench"]
