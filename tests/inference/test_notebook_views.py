"""How models, videos, sessions and answers show themselves, and what an answer keeps alive: nothing."""

import gc
import re
import sys
import weakref
from html.parser import HTMLParser

import numpy as np
import pytest

import clips
import tempo
from tempo.errors import TempoError
from tempo.video.frames import Damage

QUESTION = "What is <b>it</b>?"


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return clips.write(tmp_path_factory.mktemp("film") / "film.mp4", count=120, rate=10)


@pytest.fixture(scope="module")
def session(tiny, film):
    return tiny.watch(film)


@pytest.fixture(scope="module")
def answer(session):
    return session.ask(QUESTION, max_new_tokens=4)


def tags(html):
    """The tags of a fragment, with their attributes."""
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append((tag, dict(attributes)))
    parser.feed(html)
    return found


def test_reprs_fit_a_line(tiny, session, answer, film):
    conversation = session.conversation()
    conversation.turns.append(("What?", "At 3.0 seconds."))
    assert repr(session) == "Session('film.mp4', 00:12, 3 segments, cached)"
    assert repr(conversation) == "Conversation('film.mp4', 1 turn)"
    assert re.fullmatch(r"Tempo\('.*tempo-tiny', [\d.,]+ M parameters, float32 on cpu\)", repr(tiny))
    assert repr(answer).startswith("Answer(")
    for one in (session, conversation, answer, answer.plot(), *answer.frames(1), session.video):
        assert "\n" not in repr(one)
        assert len(repr(one)) < 200
    assert "00:03" in conversation._repr_html_()


def test_notebooks_show_frames_and_fetch_nothing(tiny, session, answer):
    moments = len(answer.moments)
    assert moments
    for shown, pictures in ((tiny, 0), (session, 6), (session.video, 6), (answer, moments)):
        found = tags(shown._repr_html_())
        sources = [each.get("src") or each.get("href") for tag, each in found if tag in ("img", "image")]
        assert len(sources) == pictures
        assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
        assert not {"script", "link", "b"} & {tag for tag, _ in found}
        assert all(each.get("alt") for tag, each in found if tag == "img")
    assert "&lt;b&gt;it&lt;/b&gt;" in answer._repr_html_()
    assert "<svg" in answer._repr_html_()


def test_a_preview_shows_the_whole_video_and_leaves_no_trace(film):
    video = tempo.Video.open(film)
    video.damage = watched = Damage(1.0, 2, ((0.0, 1.0),), ("pictures are damaged",))
    seen = video.preview(4, height=96)
    assert [time for time, _ in seen] == [1.5, 4.5, 7.5, 10.5]
    assert [clips.index_of(frame) for _, frame in seen] == [15, 45, 75, 105]
    assert video.damage is watched


def test_what_cannot_be_decoded_is_described_all_the_same(tmp_path):
    path = clips.write(tmp_path / "film.mp4", count=20, rate=10)
    video = tempo.Video.open(path)
    path.unlink()
    assert video.preview() == []
    assert "film.mp4" in video._repr_html_()


def test_still_images_have_one_picture():
    video = tempo.Video.from_frames(clips.picture(5)[None], fps=1.0)
    assert [clips.index_of(frame) for _, frame in video.preview(height=96)] == [5] * len(video.preview())
    assert "frames" in video._repr_html_()


def test_a_table_has_a_row_for_each_segment(answer):
    pandas = pytest.importorskip("pandas")
    table = answer.to_pandas()
    assert list(table.columns) == ["start", "end", "timestamp", "relevance", "tokens", "moment"]
    assert table.relevance.tolist() == [segment.relevance for segment in answer.segments]
    for rank, moment in enumerate(answer.moments, 1):
        rows = table[table.moment == rank]
        assert (rows.start.min(), rows.end.max()) == (moment.start, moment.end)
        assert rows.tokens.sum() == moment.tokens
    inside = sum(moment.last - moment.first + 1 for moment in answer.moments)
    assert table.moment.notna().sum() == inside
    assert isinstance(table, pandas.DataFrame)


def test_without_pandas_one_line_says_so(answer, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(TempoError, match=r"pandas is not installed; run `pip install pandas`"):
        answer.to_pandas()


def test_an_answer_keeps_neither_session_nor_video_alive(tiny):
    frames = np.zeros((16, 32, 32, 3), np.uint8)
    session = tiny.watch(tempo.Video.from_frames(frames, fps=2.0))
    answers = [session.ask("What?", max_new_tokens=2), *session.ask_many(["Where?"], max_new_tokens=2)]
    gone = [weakref.ref(session), weakref.ref(session.video), weakref.ref(session.entries[0])]
    del session
    gc.collect()
    assert [one() for one in gone] == [None] * 3
    assert len(answers) == 2
