"""What is made of an answer is true to it in every form, and shows the frames of its moments."""

import dataclasses
import json
import pickle
import re
from html.parser import HTMLParser

import av
import pytest

import clips
from tempo.errors import TempoError, UsageError
from tempo.inference.results import Answer, AnswerSegment, Usage, VideoInfo
from tempo.video.video import Video

RELEVANCE = [0.1, 0.6, 0.2, 0.9, 0.8, 0.1]
PEAKS = [3, 1]  # the most relevant segment of each moment, the strongest moment first
HOSTILE = 'Who says "<script>alert(1)</script>" & <img src=//evil.example/x onerror=y> --> \x1b[2J?'


def about(path, fingerprint="", **changes):
    """An answer about a film of 24 seconds, in segments of four."""
    segments = [AnswerSegment(i, 4.0 * i, 4.0 * i + 4, 4.0 * i + 2, r, 3) for i, r in enumerate(RELEVANCE)]
    phases = ("decode", "watch", "route", "distil", "answer", "total")
    video = VideoInfo(str(path), 24.0, 160, 96, 48, 2.0, 0.0, fingerprint=fingerprint)
    usage = Usage(18, 40, 3, dict.fromkeys(phases, 1.0), 10**8)
    answer = Answer("It is at 14.0 seconds.", [1], segments, usage, True, 64, "tempo-nano", video)
    return dataclasses.replace(answer, question="When is it?", **changes)


@pytest.fixture
def film(tmp_path):
    (tmp_path / "secret").mkdir()
    return clips.write(tmp_path / "secret" / "film.mp4", count=240, rate=10)


@pytest.fixture
def answer(film):
    return about(film, Video.open(film).fingerprint)


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text without scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self._hidden = [], "", 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._hidden += tag in ("script", "style")

    def handle_endtag(self, tag):
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data):
        if not self._hidden:
            self.text += data


def cues(srt, tmp_path):
    """(start, end, text) of every subtitle, in seconds, as FFmpeg reads them."""
    path = tmp_path / "moments.srt"
    path.write_text(srt, encoding="utf-8")
    found = []
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[0]
        for packet in container.demux(stream):
            if packet.size:
                start = float(packet.pts * stream.time_base)
                end = start + float(packet.duration * stream.time_base)
                found.append((start, end, bytes(packet).decode()))
    return found


def test_subtitles_stand_at_the_moments(answer, tmp_path):
    read = cues(answer.to_srt(), tmp_path)
    assert [(start, end) for start, end, _ in read] == [(4.0, 8.0), (12.0, 20.0)]
    assert [text.splitlines()[0] for *_, text in read] == ["It is at 00:14."] * 2
    assert [text.splitlines()[1] for *_, text in read] == [
        "moment 2 of 2, relevance 0.60",
        "moment 1 of 2, relevance 0.90",
    ]


def test_no_text_breaks_out_of_a_subtitle(answer, tmp_path):
    hostile = dataclasses.replace(answer, text="a\n\n9\n00:00:01,000 --> 00:00:02,000\n<b>b")
    read = cues(hostile.to_srt(), tmp_path)
    assert [(start, end) for start, end, _ in read] == [(4.0, 8.0), (12.0, 20.0)]
    assert all("<" not in text for *_, text in read)


def test_subtitles_of_nothing_and_of_long_videos(answer, tmp_path):
    assert dataclasses.replace(answer, relevance_floor=0.95).to_srt() == ""
    late = dataclasses.replace(answer.segments[3], start=3599.9996, end=7325.25)
    read = cues(dataclasses.replace(answer, segments=[late]).to_srt(), tmp_path)
    assert [(start, end) for start, end, _ in read] == [(3600.0, 7325.25)]


def test_a_still_image_has_no_times(answer):
    still = dataclasses.replace(answer, video=dataclasses.replace(answer.video, duration=0.0))
    assert still.to_srt() == ""
    assert still.to_text() == "When is it?\nIt is at 00:14.\n\nfilm.mp4 · tempo-nano\n"


def test_text_names_the_times(answer):
    assert answer.to_text() == (
        "When is it?\nIt is at 00:14.\n\n"
        "00:12–00:20  relevance 0.90\n00:04–00:08  relevance 0.60\n\n"
        "film.mp4 · tempo-nano\n"
    )


def test_the_page_shows_answer_moments_and_all_segments(answer):
    page = Page(answer.to_html())
    words = " ".join(page.text.split())
    for part in ("When is it?", "It is at 00:14.", "film.mp4", "00:12–00:20", "relevance 0.90, 6 tokens"):
        assert part in words
    assert words.index("00:12–00:20") < words.index("00:04–00:08")  # the strongest first
    assert len([1 for tag, _ in page.tags if tag == "tr"]) == 1 + len(RELEVANCE) + len(answer.facts)
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert [picture["alt"] for picture in pictures] == ["The video at 00:14", "The video at 00:06"]
    assert "secret" not in answer.to_html()


def test_the_page_fetches_nothing_and_takes_no_text_for_markup(answer):
    hostile = dataclasses.replace(answer, question=HOSTILE, text=HOSTILE, warnings=(HOSTILE,), model=HOSTILE)
    html = hostile.to_html()
    page = Page(html)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not [
        value for _, attributes in page.tags for name, value in attributes.items() if name[:2] == "on"
    ]
    for tag, attributes in page.tags:
        for name in ("src", "href"):
            assert attributes.get(name, "data:image/jpeg;base64,").startswith("data:image/jpeg;base64,"), tag
    assert not re.search(r"url\(|@import", html)
    assert "\x1b" not in html
    assert page.text.count(HOSTILE.replace("\x1b", "\N{REPLACEMENT CHARACTER}")) == 5  # in the title too


def test_the_page_says_where_nothing_stands_out(answer):
    page = Page(dataclasses.replace(answer, relevance_floor=0.95).to_html())
    assert "nothing stands out (best 0.90)" in page.text
    assert not [1 for tag, _ in page.tags if tag == "img"]


def test_json_is_the_answer(answer, tmp_path):
    answer.save(tmp_path / "answer.json")
    written = (tmp_path / "answer.json").read_text(encoding="utf-8")
    assert json.loads(written) == json.loads(json.dumps(answer.to_dict()))
    assert answer.to_dict()["question"] == "When is it?"


def test_every_ending_is_written_as_what_it_says(answer, tmp_path):
    for ending, beginning in {
        "png": b"\x89PNG",
        "svg": b"<svg",
        "html": b"<!DOCTYPE html>",
        "SRT": b"1\n00:00:04,000",
        "txt": b"When is it?",
        "json": b"{",
    }.items():
        answer.save(tmp_path / f"answer.{ending}")
        assert (tmp_path / f"answer.{ending}").read_bytes().startswith(beginning)
    with pytest.raises(UsageError, match=r"answer\.pdf: the name must end in"):
        answer.save(tmp_path / "answer.pdf")
    with pytest.raises(TempoError, match="its folder does not exist"):
        answer.save(tmp_path / "nowhere" / "answer.html")


def test_frames_are_those_of_the_moments(answer):
    frames = answer.frames()
    assert [frame.moment.peak for frame in frames] == PEAKS
    assert [frame.time for frame in frames] == [14.0, 6.0]
    assert [clips.index_of(frame.pixels) for frame in frames] == [140, 60]
    assert frames[0].pixels.shape == (96, 160, 3)
    assert len(answer.frames(1)) == 1
    for count in (-1, 1.5, None):
        with pytest.raises(UsageError, match="count must be a whole number"):
            answer.frames(count)
    assert repr(frames[0]) == "MomentFrame(00:14, 160×96)"
    assert frames[0].image.size == (160, 96)


def test_frames_of_a_file_that_is_gone_or_another(answer, film, tmp_path):
    before = Video.open(film)
    clips.write(film, count=240, rate=10, size=(320, 96))
    with pytest.raises(TempoError, match="it has changed since") as caught:
        answer.frames()
    assert "\n" not in str(caught.value)
    film.unlink()
    with pytest.raises(TempoError, match="no such file"):
        answer.frames()
    # A report is written all the same, without the frames.
    assert not [1 for tag, _ in Page(answer.to_html()).tags if tag == "img"]
    assert answer.plot().shapes
    other = Video.open(clips.write(tmp_path / "copy.mp4", count=240, rate=10))
    assert [clips.index_of(frame.pixels) for frame in answer.frames(video=other)] == [140, 60]
    assert before.path == str(film)


def test_what_was_never_in_a_file_has_to_be_given(answer):
    pixels = clips.picture(0)[None].repeat(48, axis=0)
    array = Video.from_frames(pixels, fps=2.0)
    held = dataclasses.replace(answer, video=dataclasses.replace(answer.video, path=None, fingerprint=""))
    with pytest.raises(TempoError, match="pass its Video as video="):
        held.frames()
    assert [frame.time for frame in held.frames(video=array)] == [14.0, 6.0]
    assert held.to_text().endswith("frames · tempo-nano\n")


def test_a_name_for_the_path(answer, film):
    told = answer.called("holiday.mp4")
    for text in (told.to_html(video=Video.open(film)), told.to_text(), json.dumps(told.to_dict())):
        assert "holiday.mp4" in text
        assert "secret" not in text


def test_a_drawing_has_the_frames_and_notebooks_show_it(answer):
    figure = answer.plot()
    assert figure._repr_svg_().count("<image ") == len(PEAKS)
    assert repr(figure).startswith("Figure('Relevance and tokens over 00:24;")
    assert len(repr(figure)) < 120


def test_an_answer_is_small_and_says_little(answer):
    assert len(pickle.dumps(answer)) < 4000
    assert repr(answer) == "Answer('It is at 00:14.', 2 moments, 18 of 64 tokens, 1.00 s)"
    assert str(answer) == "It is at 14.0 seconds."
