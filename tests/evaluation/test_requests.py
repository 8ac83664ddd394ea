"""Requests of lmms-eval's chat interface, as its tasks make them."""

import sys

import pytest
from PIL import Image

from tempo.errors import TempoError, UsageError
from tempo.evaluation.requests import read_messages, read_options, read_request


def user(*content):
    return [{"role": "user", "content": list(content)}]


VIDEO = {"type": "video", "url": "films/one.mp4"}
WORDS = {"type": "text", "text": "What is it?"}


def ask(messages, doc=None, options=None, picture=None):
    return read_request("t", 3, doc or {}, options or {}, messages, picture=picture)


def test_a_video_and_its_question(tmp_path):
    item = ask(lambda: user(VIDEO, WORDS), {"duration": "short"}, {"max_new_tokens": 16}, tmp_path)
    assert (item.task, item.number, item.video, item.question) == ("t", 3, "films/one.mp4", "What is it?")
    assert item.about == {"duration": "short"}
    assert item.error is None
    assert item.max_new_tokens == 16


def test_a_system_message_comes_first(tmp_path):
    messages = [{"role": "system", "content": "Be brief."}, *user(VIDEO, WORDS)]
    assert read_messages(messages, picture=tmp_path)[0] == "Be brief.\nWhat is it?"


def test_a_picture_that_is_open_already_becomes_a_file(tmp_path):
    image = Image.new("L", (8, 6), 200)
    words, path = read_messages(user({"type": "image", "url": image}, WORDS), picture=tmp_path / "0.png")
    with Image.open(path) as written:
        assert written.size == (8, 6)
    assert words == "What is it?"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([WORDS], "nothing"),
        ([VIDEO, VIDEO, WORDS], "video, video"),
        ([{"type": "audio", "url": "a.wav"}, WORDS], "audio"),
        ([{"type": "video", "url": {"path": "a.mp4", "video_start": 3, "video_end": 9}}, WORDS], "a part"),
        ([{"type": "video", "url": 7}, WORDS], "int"),
    ],
)
def test_what_tempo_cannot_be_asked_is_an_error_of_the_item(content, reason, tmp_path):
    with pytest.raises(TempoError, match=reason):
        read_messages(user(*content), picture=tmp_path)
    assert reason in ask(lambda: user(*content), picture=tmp_path).error


def test_tasks_that_end_the_process_over_a_missing_video_do_not(tmp_path):
    item = ask(lambda: sys.exit("video path:x.mp4 does not exist, please check"), picture=tmp_path)
    assert item.error == "video path:x.mp4 does not exist, please check"

    def assertion():
        raise AssertionError

    assert ask(assertion, {"video_path": "x.mp4"}, picture=tmp_path).error.startswith(
        "x.mp4: lmms-eval's task cannot"
    )


def test_long_values_are_not_carried_along(tmp_path):
    doc = {"a": "x" * 300, "b": ["one", 2], "c": {"d": 1}, "e": list(range(50)), "f": True}
    assert ask(lambda: user(VIDEO, WORDS), doc, picture=tmp_path).about == {"b": ["one", 2], "f": True}


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, {"max_new_tokens": 256, "temperature": 0.0, "top_p": 1.0, "stop": ()}),
        ({"temperature": 0.7, "do_sample": False}, {"temperature": 0.0}),
        ({"temperature": 0.7, "do_sample": True, "top_p": 0.9}, {"temperature": 0.7, "top_p": 0.9}),
        ({"temperature": 0.7}, {"temperature": 0.7}),
        ({"until": ["\n\n"], "num_beams": 1}, {"stop": ("\n\n",)}),
        ({"until": "END", "max_gen_toks": 4}, {"stop": ("END",), "max_new_tokens": 4}),
    ],
)
def test_options(options, wanted):
    found = read_options("t", options)
    assert {name: found[name] for name in wanted} == wanted


def test_beams_are_refused():
    with pytest.raises(UsageError, match="num_beams=4"):
        read_options("t", {"num_beams": 4})
