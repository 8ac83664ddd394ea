"""Conversations in files, and in which order they come."""

import json
from collections import Counter

import pytest
from making import conversation, write_jsonl

from tempo.errors import TempoError
from tempo.training.data.llava import ConversationFile
from tempo.training.data.mixture import BLOCK, Mixture


def one(tmp_path, value):
    path = tmp_path / "one.jsonl"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return ConversationFile(path).read(0)


def test_llava_records(tmp_path):
    record = one(
        tmp_path,
        conversation("<image>\nWhat is it?", "A cup.", "Whose?<video>", "Mine.", image="a/b.png", id="7"),
    )
    assert record.media == str(tmp_path / "a/b.png")
    assert record.turns == (("What is it?", "A cup."), ("Whose?", "Mine."))
    assert record.evidence is None


def test_addresses_stay_and_folders_are_joined(tmp_path):
    path = write_jsonl(
        tmp_path / "d.jsonl",
        [conversation("a", "b", video="https://host/v.mp4"), conversation("a", "b", video="v.mp4")],
    )
    records = ConversationFile(path, media=tmp_path / "films")
    assert [records.read(i).media for i in (0, 1)] == ["https://host/v.mp4", str(tmp_path / "films/v.mp4")]


def test_roles_and_contents_are_read_too(tmp_path):
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert one(tmp_path, {"video": "v.mp4", "conversations": turns}).turns == (("a", "b"),)


def test_what_an_answer_says_is_learnt_to_the_letter(tmp_path):
    """A marker in a question is the video; in an answer somebody wrote it."""
    record = one(
        tmp_path,
        conversation("<video>\nHow is it shown?", "With <video> tags:\n\n<video>\n", video="v.mp4"),
    )
    assert record.turns == (("How is it shown?", "With <video> tags:\n\n<video>"),)


USER = {"role": "user", "content": "What is it?"}
ANSWER = {"role": "assistant", "content": "A cup."}
TURNS = [USER, ANSWER]


def asked(*parts):
    return [{"role": "user", "content": list(parts)}, ANSWER]


def with_answer(*parts):
    return [USER, {"role": "assistant", "content": list(parts)}]


def with_system(text):
    return [{"role": "system", "content": text}, *TURNS]


WORDS = {"type": "text", "text": "What is it?"}


@pytest.mark.parametrize(
    "value",
    [
        {"video": "v.mp4", "messages": TURNS},
        {"videos": ["v.mp4"], "messages": TURNS},
        {"videos": ["v.mp4"], "images": [], "conversations": TURNS},
        {"images": ["v.mp4"], "messages": asked("<image>What is it?")},
        {"video": "v.mp4", "messages": with_system("You are a helpful assistant.")},
        {"video": "v.mp4", "system": "", "conversations": TURNS},
        {"video": "v.mp4", "video_start": 0, "video_end": None, "messages": TURNS},
        {"videos": ["v.mp4"], "messages": asked({"type": "video"}, WORDS)},
        {"messages": asked({"type": "video", "video": "v.mp4"}, WORDS)},
        {"messages": asked({"type": "image", "image": "v.mp4"}, WORDS)},
        {"messages": asked(WORDS, {"type": "video_url", "video_url": {"url": "v.mp4"}})},
        {"messages": asked({"type": "image_url", "image_url": "v.mp4"}, WORDS)},
        {"video": "v.mp4", "messages": with_answer({"type": "text", "text": "A cup."})},
        {"video": "v.mp4", "messages": [USER, ANSWER | {"weight": 1}]},
    ],
)
def test_the_forms_in_which_people_have_conversations(tmp_path, value):
    record = one(tmp_path, value)
    assert record.turns == (("What is it?", "A cup."),)
    assert record.media == str(tmp_path / "v.mp4")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_list_in_any_encoding_of_unicode(tmp_path, encoding):
    path = tmp_path / "d.json"
    text = json.dumps([conversation("ä?", "世界", video="v.mp4")], ensure_ascii=False)
    path.write_bytes(text.encode(encoding))
    assert ConversationFile(path).read(0).turns == (("ä?", "世界"),)


def test_lines_behind_a_byte_order_mark(tmp_path):
    path = tmp_path / "d.jsonl"
    for text in ("", "\n"):
        lines = [json.dumps(conversation(f"a{n}", "b", video="v.mp4")) for n in range(2)]
        path.write_text("\ufeff" + text + "\n".join(lines) + "\n", encoding="utf-8")
        records = ConversationFile(path)
        assert [records.read(i).turns for i in range(len(records))] == [(("a0", "b"),), (("a1", "b"),)]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"video": "v", "video_start": 3.5, "messages": TURNS},
            "video_start: parts of videos are not supported",
        ),
        (
            {"video": "v", "video_end": 3.5, "conversations": TURNS},
            "video_end: parts of videos are not supported",
        ),
        (
            {"video": "v", "start": 3, "end": 5, "conversations": TURNS},
            "start: parts of videos are not supported",
        ),
        ({"messages": asked({"type": "video", "video": "v", "video_end": 9}, WORDS)}, "video_end: parts"),
        ({"messages": asked({"type": "video", "video": "v", "fps": 1}, WORDS)}, "fps of a single video"),
        ({"videos": ["a", "b"], "messages": TURNS}, "video: must be one path, not 2"),
        ({"video": "a", "videos": ["b"], "messages": TURNS}, "video: must be one path, not 2"),
        ({"images": ["a"], "videos": ["b"], "messages": TURNS}, "either an image or a video"),
        ({"images": [], "messages": TURNS}, "either an image or a video"),
        ({"video": "v", "messages": TURNS, "conversations": TURNS}, "conversations and messages"),
        ({"video": "v", "messages": with_system("Be rude.")}, "turn 1 is a system prompt"),
        ({"video": "v", "system": "Be rude.", "conversations": TURNS}, "system is a system prompt"),
        ({"video": "v", "messages": [USER, {"role": "tool", "content": "x"}]}, "turn 2 must be from gpt"),
        ({"video": "v", "messages": [USER, ANSWER | {"weight": 0}]}, "turn 2 is excluded from the loss"),
        ({"video": "v", "messages": [USER, ANSWER | {"loss": False}]}, "turn 2 is excluded"),
        ({"video": "v", "messages": asked({"type": "audio", "audio": "a"}, WORDS)}, "unknown type 'audio'"),
        ({"image": "data:image/png;base64,AAAA", "messages": TURNS}, "not the file itself"),
        ({"video": "v", "messages": with_answer({"type": "image"})}, "turn 2: an answer is text"),
        ({"video": "v", "messages": []}, "messages: must be a list of turns"),
        ([conversation("a", "b", video="v")], "a file that holds one list is called .json"),
        (conversation("a", "b", video="x", evidence=[[0, 1e400]]), "start must be at least 0 and at most"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(tmp_path, value, message):
    with pytest.raises(TempoError, match=message) as caught:
        one(tmp_path, value)
    assert "\n" not in str(caught.value)


def test_a_list_and_lines_are_the_same(tmp_path):
    records = [conversation(f"question {n} ä", "b", video=f"{n}.mp4") for n in range(5)]
    lines = write_jsonl(tmp_path / "d.jsonl", records)
    lines.write_text("\n" + lines.read_text().replace("\n", "\n\n"), encoding="utf-8")
    (tmp_path / "d.json").write_text(json.dumps(records))
    by_line, by_list = ConversationFile(lines), ConversationFile(tmp_path / "d.json")
    assert len(by_line) == len(by_list) == 5
    assert [by_line.read(i) for i in range(5)] == [by_list.read(i) for i in range(5)]
    assert by_line.name(1) == "d.jsonl:4"
    assert by_list.name(1) == "d.json:2"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{", "not JSON"),
        ([1], "not a JSON object"),
        (conversation("a", "b"), "either an image or a video"),
        (conversation("a", "b", image="x", video="y"), "either an image or a video"),
        (conversation("a", "b", image=["x", "y"]), "must be one path, not 2"),
        (conversation("a", "b", video=3), "must be a path"),
        ({"video": "x"}, "must be a list of turns"),
        (conversation("a", video="x"), "the last question has no answer"),
        (conversation("a", " ", video="x"), "turn 2 has no text"),
        (conversation("<video>", "b", video="x"), "turn 1 has no text"),
        ({"video": "x", "conversations": [{"from": "gpt", "value": "a"}]}, "turn 1 must be from human"),
        (conversation("a", "b", video="x", evidence=[[3, 1]]), "start must be at least 0 and at most end"),
        (conversation("a", "b", video="x", evidence=3), "a list of \\[start, end\\]"),
    ],
)
def test_records_that_are_none(tmp_path, value, message):
    with pytest.raises(TempoError, match=message):
        one(tmp_path, value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", "", "no conversations in this file"),
        ("a.json", "{}", "holds a list"),
        ("a.json", "[", "not readable as JSON"),
        ("a.json", '{"video": "a"}\n{"video": "b"}\n', "one conversation a line is .jsonl"),
        ("a.jsonl", '[\n{"video": "a"}\n]\n', "a list is .json"),
        ("a.json", "[" * 100_000, "not readable as JSON"),
        (None, "", "no such file"),
    ],
)
def test_files_that_are_none(tmp_path, name, text, message):
    if name:
        (tmp_path / name).write_text(text)
    with pytest.raises(TempoError, match=message):
        ConversationFile(tmp_path / (name or "nothing.jsonl"))


def test_every_record_comes_once_before_any_comes_twice():
    mixture = Mixture([1.0], [7], seed=3)
    drawn = [mixture[n][1] for n in range(2 * BLOCK)]
    rounds = [drawn[i : i + 7] for i in range(0, len(drawn) - 7, 7)]
    assert all(sorted(some) == list(range(7)) for some in rounds)
    assert len({tuple(some) for some in rounds}) > 100


def test_sources_are_drawn_by_their_weights():
    mixture = Mixture([3.0, 1.0, 1e-9], [100, None, 5], seed=1)
    drawn = [mixture[n] for n in range(2 * BLOCK)]
    shares = Counter(source for source, _ in drawn)
    assert shares[0] / shares[1] == pytest.approx(3, rel=0.01)
    assert shares[2] == 2, "however small, a source is not forgotten"
    assert [record for source, record in drawn if source == 1] == list(range(shares[1]))
    first = Counter(source for source, _ in drawn[:400])
    assert first[0] / 400 == pytest.approx(0.75, abs=0.08), "mixed, not one after the other"


def test_a_draw_depends_on_nothing_but_its_number():
    straight = [Mixture([2, 1], [10, 20], seed=5)[n] for n in range(50)]
    again = Mixture([2, 1], [10, 20], seed=5)
    assert [again[n] for n in reversed(range(50))] == straight[::-1]
    assert [Mixture([2, 1], [10, 20], seed=6)[n] for n in range(50)] != straight


def test_substitutes_are_of_the_same_source_and_repeatable():
    mixture = Mixture([1, 1], [10, 20], seed=5)
    found = [mixture.substitute(3, attempt) for attempt in range(8)]
    assert {source for source, _ in found} == {mixture[3][0]}
    assert found == [mixture.substitute(3, attempt) for attempt in range(8)]
    assert len(set(found)) > 3
