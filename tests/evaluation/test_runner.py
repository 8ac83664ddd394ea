"""Items answered on watched sessions: grouped and alone, with videos that are missing, and again."""

import dataclasses

import pytest

from clips import write
from tempo.errors import TempoError
from tempo.evaluation.runner import (
    Answerer,
    Item,
    TooManyErrors,
    by_video,
    cut_at_stop,
    distribute,
)
from tempo.evaluation.settings import Settings

SETTINGS = Settings(fps=2.0, min_frames=8, max_frames=24, budget=64)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    return [str(write(folder / f"{name}.mp4", count=60, rate=10)) for name in ("one", "two")]


@pytest.fixture(autouse=True)
def own_minimum(tiny):
    """The model is shared with other tests, and an evaluation sets its minimum of frames."""
    before = tiny.config.min_frames
    yield
    tiny.config.min_frames = before


@pytest.fixture
def items(videos):
    questions = ("What is it?\nA. a\nB. b", "And now?")
    return [
        Item(task="t", number=number, question=questions[number % 2], video=videos[number // 2])
        for number in range(4)
    ]


def answer(engine, items, known=None, **changes):
    """The records of `items`, and the videos that were opened, in order."""
    settings = dataclasses.replace(SETTINGS, **changes)
    told = []
    found = Answerer(settings, lambda: engine).answer(items, known=known or {}, each=told.append)
    return found, told


def test_grouping_changes_the_work_and_not_the_answers(engine, items):
    together, _ = answer(engine, items)
    alone, _ = answer(engine, items, group=False)
    for key, record in together.items():
        other = alone[key]
        assert record.error is None
        assert (record.text, record.visual_tokens, record.prompt_tokens) == (
            other.text,
            other.visual_tokens,
            other.prompt_tokens,
        )
    # Watched once for each video, or once for each question.
    assert [record.seconds["watch"] > 0 for record in together.values()] == [True, False, True, False]
    assert all(record.seconds["watch"] > 0 for record in alone.values())


def test_answers_are_those_of_a_plain_session(engine, items):
    session = engine.watch(items[0].video, fps=2.0, max_frames=24)
    plain = session.ask(items[0].question, budget=64, max_new_tokens=16)
    record = answer(engine, items[:1])[0]["t", 0]
    assert record.text == plain.text.lstrip()
    assert record.visual_tokens == plain.usage.visual_tokens <= 64
    assert record.budget == 64
    assert record.frames == len(session.sampling)
    assert record.duration == pytest.approx(6.0, abs=0.2)


def test_short_videos_have_the_published_minimum_of_frames(engine, tmp_path):
    path = str(write(tmp_path / "short.mp4", count=20, rate=20))
    record = answer(engine, [Item(task="t", number=0, question="?", video=path)])[0]["t", 0]
    assert record.frames == 8


def test_what_cannot_be_watched_is_an_error_and_the_rest_is_answered(engine, items, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all")
    more = [
        Item(task="t", number=7, question="?", video=str(tmp_path / "gone.mp4")),
        Item(task="t", number=8, question="?", video=str(broken)),
        Item(task="t", number=9, error="film9: the task does not find this video"),
    ]
    found, told = answer(engine, [*more, *items[:1]])
    assert "no such file" in found["t", 7].error
    assert str(broken) in found["t", 8].error
    assert "film9" in found["t", 9].error
    assert all(found["t", number].text == "" for number in (7, 8, 9))
    assert found["t", 0].error is None
    assert len(told) == 4


def test_a_run_goes_on_where_it_was(engine, items):
    first, _ = answer(engine, items[:3])
    changed = dataclasses.replace(items[1], question="Something else?")
    failed = dataclasses.replace(first["t", 2], error="the disk was away")
    known = {**first, ("t", 2): failed}
    found, told = answer(engine, [items[0], changed, items[2], items[3]], known=known)
    assert found["t", 0] is first["t", 0]
    # Asked again: another question under the same number, what failed, and what is new.
    assert sorted(record.item for record in told) == [1, 2, 3]


def test_nothing_is_loaded_where_all_is_answered(engine, items):
    first, _ = answer(engine, items[:1])

    def load():
        raise AssertionError("there is nothing to load a model for")

    assert Answerer(SETTINGS, load).answer(items[:1], known=first) == first


def test_a_model_that_cannot_be_loaded_is_no_error_of_the_videos(items):
    def load():
        raise TempoError("nowhere: there is no such folder")

    told = []
    with pytest.raises(TempoError, match="nowhere"):
        Answerer(SETTINGS, load).answer(items, known={}, each=told.append)
    assert told == []


def test_too_many_errors_end_the_run(engine, tmp_path):
    gone = [Item(task="t", number=n, question="?", video=str(tmp_path / f"gone{n}.mp4")) for n in range(4)]
    told = []
    with pytest.raises(TooManyErrors, match="2 items") as error:
        Answerer(SETTINGS, lambda: engine, max_errors=1).answer(gone, known={}, each=told.append)
    assert "gone1.mp4" in str(error.value)
    assert isinstance(error.value, TempoError)
    assert len(told) == 2


def test_want_of_memory_is_no_error_of_the_video(engine, items, monkeypatch):
    def fail(*args, **options):
        raise MemoryError

    monkeypatch.setattr(engine, "watch", fail)
    with pytest.raises(MemoryError):
        answer(engine, items)


def test_items_are_grouped_and_dealt_by_video():
    items = [Item(task="t", number=n, video=f"v{n % 3}", question="?") for n in range(10)]
    groups = by_video(items)
    assert [[item.number for item in group] for group in groups] == [[0, 3, 6, 9], [1, 4, 7], [2, 5, 8]]
    shares = distribute(groups, 2)
    assert sorted(item.number for share in shares for item in share) == list(range(10))
    assert {frozenset(item.video for item in share) for share in shares} == {
        frozenset({"v0"}),
        frozenset({"v1", "v2"}),
    }
    assert distribute(groups, 5)[3:] == [[], []]


@pytest.mark.parametrize(
    ("text", "stop", "wanted"),
    [
        ("B\n\nBecause", ("\n\n",), "B"),
        ("\n\nB", ("\n\n",), "B"),  # blank lines before the answer do not end it
        ("B", ("\n\n",), "B"),
        ("one. two; three", (";", "."), "one"),
        ("B", ("",), "B"),
    ],
)
def test_where_answers_end(text, stop, wanted):
    assert cut_at_stop(text, stop) == wanted
