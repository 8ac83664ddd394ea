"""Whatever lists moments lists the same ones for one question, and none where nothing stands out."""

import dataclasses
import json
import re
from types import SimpleNamespace

import pytest

import clips
from tempo.cli.render import chart, moments
from tempo.formatting import clock
from tempo.inference.model_info import ModelInfo
from tempo.inference.results import (
    Answer,
    AnswerSegment,
    Usage,
    VideoInfo,
)
from tempo.moments import COUNT, strongest
from tempo.reporting.plot.layout import STRONG
from tempo.reporting.plot.shapes import Picture, Rectangle
from tempo.ui import views
from tempo.ui.turns import Turn, Variant
from tempo.video.video import Video

# Two neighbours that are one moment, six more apart from one another, and what is below half of the best.
RELEVANCE = [0.1, 0.9, 0.8, 0.2, 0.7, 0.1, 0.6, 0.3, 0.65, 0.1, 0.5, 0.0, 0.75, 0.4]


def answer(relevance, *, floor=0.0, text="There it is."):
    segments = [AnswerSegment(i, 4.0 * i, 4.0 * i + 4, 4.0 * i + 2, r, 3) for i, r in enumerate(relevance)]
    phases = ("decode", "watch", "route", "distil", "answer", "total")
    usage = Usage(3 * len(segments), 9, 1, dict.fromkeys(phases, 1.0), 10**8)
    video = VideoInfo("film.mp4", 4.0 * len(segments), 160, 96, 8 * len(segments), 2.0, 0.0)
    return Answer(text, [1], segments, usage, True, 64, "tempo-nano", video, relevance_floor=floor)


def spans(text):
    """What a text lists: (start, end) as clock times."""
    return re.findall(r"(\d\d:\d\d)–(\d\d:\d\d)", text)


def on_the_page(answer, model):
    """What the page is told of an answer."""
    turn = Turn("?", (), {}, (None, None), Variant(64, True), {Variant(64, True): answer})
    return views.turn(SimpleNamespace(turns=[turn]), 0, ModelInfo.of(model.name, model.config))


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return Video.open(clips.write(tmp_path_factory.mktemp("film") / "film.mp4", count=56 * 2, rate=2))


def test_text_json_page_and_plot_have_the_same_moments(film, tiny):
    found = answer(RELEVANCE)
    expected = [(moment.start, moment.end) for moment in strongest(found.segments)]
    assert expected == [(4.0, 12.0), (48.0, 52.0), (16.0, 20.0), (32.0, 36.0), (24.0, 28.0)]
    assert len(expected) == COUNT
    written = [(clock(start), clock(end)) for start, end in expected]

    assert spans(moments(found.segments).plain) == written
    assert [(moment["start"], moment["end"]) for moment in found.to_dict()["moments"]] == expected
    listed = on_the_page(found, tiny)["moments"]
    assert [(moment["start"], moment["end"]) for moment in listed] == expected
    figure = found.plot(video=film)
    pictured = {spans(shape.hint)[0] for shape in figure.shapes if isinstance(shape, Picture)}
    peaks = {(clock(found.segments[i].start), clock(found.segments[i].end)) for i in (1, 4, 6, 8, 12)}
    assert pictured == peaks
    columns = [shape for shape in figure.shapes if isinstance(shape, Rectangle) and shape.fill]
    marked = [box.fill == STRONG for box in columns[-2 * len(RELEVANCE) : -len(RELEVANCE)]]
    bar = chart(found.segments, columns=len(RELEVANCE))
    shown = [i for span in bar.spans if "cyan" in str(span.style) for i in range(span.start, span.end)]
    assert [i for i, strong in enumerate(marked) if strong] == shown == [1, 2, 4, 6, 8, 12]


def test_below_the_floor_nothing_is_offered_anywhere(film, tiny):
    found = answer([0.02, 0.2, 0.1], floor=0.25)
    assert found.moments == []
    assert moments(found.segments, floor=0.25).plain == "nothing stands out (best 0.20)"
    assert not [span for span in chart(found.segments, floor=0.25).spans if "cyan" in str(span.style)]
    values = found.to_dict()
    assert values["moments"] == []
    assert [segment["relevance"] for segment in values["segments"]] == [0.02, 0.2, 0.1]
    page = on_the_page(found, tiny)
    assert page["moments"] == []
    assert "nothing stands out (best 0.20)" in page["nothing"]
    figure = found.plot(video=film)
    assert figure.title.endswith("nothing stands out (best 0.20)")
    assert not [shape for shape in figure.shapes if isinstance(shape, Picture)]
    assert not [shape for shape in figure.shapes if isinstance(shape, Rectangle) and shape.fill == STRONG]


def test_the_floor_cuts_within_half_of_the_best(tiny):
    found = answer([0.5, 0.1, 0.3], floor=0.4)
    assert [(moment.first, moment.last) for moment in found.moments] == [(0, 0)]
    assert [(m.first, m.last) for m in dataclasses.replace(found, relevance_floor=0.0).moments] == [
        (0, 0),
        (2, 2),
    ]


def test_a_threshold_of_ones_own_goes_before_the_floor():
    segments = answer([0.02, 0.2, 0.1]).segments
    assert [moment.first for moment in strongest(segments, floor=0.25, at_least=0.15)] == [1]


def test_seconds_are_clocks_wherever_an_answer_is_read(film, tiny, capsys):
    from tempo.cli.answer_report import answer_text

    found = answer(RELEVANCE, text=" At 75.0 seconds, for 3 seconds.")
    written = "At 01:15, for 3 seconds."
    assert found.display == written
    assert answer_text(found).plain == written
    values = json.loads(json.dumps(found.to_dict()))
    assert (values["answer"], values["answer_display"]) == (found.text, written)
    labels = [shape.text for shape in found.plot(video=film).shapes if hasattr(shape, "text")]
    assert written in labels
    page = on_the_page(found, tiny)
    assert written == page["text"] == "".join(part["text"] for part in page["answer"])
