"""The chart: what it shows is what the answer was given, in colours that everybody can tell apart."""

import re
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import tempo.ui
from tempo.inference.results import AnswerSegment
from tempo.ui import html_panels
from tempo.ui.chart import RELEVANCE_HEIGHT, TOKENS_HEIGHT, chart
from tempo.ui.client import Queued, RenderProgress, WatchProgress
from tempo.ui.jobs import Heartbeat
from tempo.ui.turns import Turn, Variant

CSS = (Path(tempo.ui.__path__[0]) / "static" / "page.css").read_text(encoding="utf-8")


def segments(count=5, seconds=4.0, relevance=0.5):
    return [
        AnswerSegment(i, i * seconds, (i + 1) * seconds, i * seconds + 1, relevance, 3) for i in range(count)
    ]


def drawn(*arguments, **options):
    return ElementTree.fromstring(chart(*arguments, **options))


def number(element, name):
    return float(element.get(name).removesuffix("%"))


def test_bars_are_as_high_as_what_they_stand_for():
    given, relevance = [1, 2, 8, 4, 1], [0.1, 0.2, 0.9, 0.4, 0.0]
    moments = [AnswerSegment(i, i * 4.0, i * 4 + 4.0, 0.0, share, 0) for i, share in enumerate(relevance)]
    root = drawn(moments, given, [3] * 5, most=16)
    assert [number(bar, "height") for bar in root.iter("rect") if bar.get("class") == "t-relevance"] == (
        pytest.approx([share * RELEVANCE_HEIGHT for share in relevance], abs=0.01)
    )
    assert [number(bar, "height") for bar in root.iter("rect") if bar.get("class") == "t-tokens"] == (
        pytest.approx([count / 8 * TOKENS_HEIGHT for count in given], abs=0.01)
    )
    groups = [g for g in root.iter("g") if g.get("class") == "t-segment"]
    assert [g.get("data-tokens") for g in groups] == ["1", "2", "8", "4", "1"]
    assert [float(g.get("data-seek")) for g in groups] == [0, 4, 8, 12, 16]
    assert [int(g.get("data-frame")) for g in groups] == [2000, 6000, 10000, 14000, 18000]
    assert groups[2].get("aria-label") == "00:08–00:12, relevance 0.90, 8 tokens"
    assert groups[0].get("aria-label").endswith("1 token")


@pytest.mark.parametrize(("count", "seconds"), [(1, 0.0), (1, 3.0), (6, 4.0), (128, 4.0), (128, 300.0)])
def test_everything_is_in_the_picture(count, seconds):
    root = drawn(segments(count, seconds), [1] * count, [16] * count, most=16)
    height = float(root.get("height"))
    for bar in root.iter("rect"):
        assert 0 <= number(bar, "x") <= number(bar, "x") + number(bar, "width") <= 100.1
        assert 0 <= number(bar, "y") <= number(bar, "y") + number(bar, "height") <= height
    times = [text for text in root.iter("text") if text.get("class") == "t-time"]
    assert 1 <= len(times) <= 6
    assert times[0].text == "00:00"


def test_the_other_way_is_a_line_at_its_height():
    root = drawn(segments(2), [8, 4], [4, 8], most=16)
    levels = [number(line, "y1") for line in root.iter("line") if line.get("class") == "t-other"]
    assert levels[0] - levels[1] == pytest.approx(TOKENS_HEIGHT / 2)


def test_what_was_typed_or_written_is_never_markup():
    nasty = '<script>alert("x")</script>'
    turn = Turn(nasty, (), {}, Variant(8, True))
    for html in (
        html_panels.conversation([turn], duration=9.0),
        html_panels.conversation([], duration=9.0, asked=nasty, written=nasty),
        html_panels.compare_variants(turn, turn.variant, duration=9.0, written={turn.variant: nasty}),
        html_panels.error(nasty),
        html_panels.note(nasty),
        html_panels.answer_html(f"{nasty} at 0:04 {nasty}", 9.0),
    ):
        assert "<script" not in html
        assert "&lt;script&gt;alert(" in html


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Queued(2), "waiting for the model: 2 ahead of you"),
        (RenderProgress(3, 12), "rendering the example: 3 of 12 frames"),
        (WatchProgress(3, 12, None), "watching: 3 of 12 frames"),
        (WatchProgress(3, 12, 61.7), "watching: 3 of 12 frames, 01:01 left"),
        (WatchProgress(3, 12, 9.6), "watching: 3 of 12 frames, 10 s left"),
        (Heartbeat(4.2), "working for 4 s"),
    ],
)
def test_progress(event, words):
    html = html_panels.progress(event)
    assert f"<span>{words}</span>" in html
    assert ('value="0.2500"' in html) == isinstance(event, RenderProgress | WatchProgress)


# --- colours -----------------------------------------------------------------------------------------------

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
SIGHT = {
    "usual": np.eye(3),
    "no red": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "no blue": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])
BACKGROUNDS = {":root": "#ffffff", ".dark": "#0b0f19"}


def linear(colour):
    values = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    ratios = TO_XYZ @ np.clip(rgb, 0, 1) / WHITE
    x, y, z = np.where(ratios > 0.008856, np.cbrt(ratios), 7.787 * ratios + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def colours(theme):
    """Of a theme: what the dark one leaves out is the light one's."""
    found = {}
    for selector in dict.fromkeys((":root", theme)):
        block = re.search(rf"^{re.escape(selector)} \{{(.*?)^\}}", CSS, re.MULTILINE | re.DOTALL)[1]
        found |= dict(re.findall(r"--t-(\w+): (#\w{6});", block))
    return found


@pytest.mark.parametrize("theme", BACKGROUNDS)
@pytest.mark.parametrize("sight", SIGHT)
def test_relevance_tokens_and_the_other_variant_can_be_told_apart(theme, sight):
    used, matrix = colours(theme), np.asarray(SIGHT[sight])
    for one, other in combinations(("relevance", "tokens", "other"), 2):
        difference = np.linalg.norm(lab(matrix @ linear(used[one])) - lab(matrix @ linear(used[other])))
        assert difference > 25, (one, other)


@pytest.mark.parametrize("theme", BACKGROUNDS)
def test_colours_stand_out_from_the_background(theme):
    used = colours(theme)
    for name, least in (("relevance", 3), ("tokens", 3), ("soft", 4.5), ("error", 4.5)):
        light = [0.05 + TO_XYZ[1] @ linear(colour) for colour in (used[name], BACKGROUNDS[theme])]
        assert max(light) / min(light) > least, name
