"""The picture of an allocation is a true picture of the numbers, in every format."""

import io
import itertools
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

import clips
from tempo.errors import TempoError, UsageError
from tempo.reporting.output_path import check_output
from tempo.reporting.plot import (
    Thumbnail,
    draw,
    thumbnails,
    to_png,
    to_svg,
)
from tempo.reporting.plot.layout import (
    LEFT,
    RELEVANCE_HEIGHT,
    RIGHT,
    STRONG,
    beside,
)
from tempo.reporting.plot.shapes import (
    Label,
    Picture,
    Rectangle,
    text_width,
    wrap,
)
from tempo.video.video import Video

SVG = "{http://www.w3.org/2000/svg}"


@dataclass
class Piece:
    start: float
    end: float
    relevance: float
    tokens: int


def pieces(relevance, tokens=None, seconds=4.0):
    tokens = tokens or [4] * len(relevance)
    return [
        Piece(seconds * i, seconds * (i + 1), r, t)
        for i, (r, t) in enumerate(zip(relevance, tokens, strict=True))
    ]


def columns(figure):
    """The columns of both charts, from left to right."""
    seen = [shape for shape in figure.shapes if isinstance(shape, Rectangle) and shape.fill]
    half = len(seen) // 2
    return seen[:half], seen[half:]


def test_columns_are_as_high_as_their_values_and_stand_at_their_time():
    relevance, tokens = columns(draw(pieces([0.1, 0.2, 0.9, 0.5], [1, 4, 16, 8])))
    assert [box.height / RELEVANCE_HEIGHT for box in relevance] == pytest.approx([0.1, 0.2, 0.9, 0.5])
    assert [box.height / tokens[2].height for box in tokens] == pytest.approx([1 / 16, 1 / 4, 1, 1 / 2])
    quarter = (RIGHT - LEFT) / 4
    for boxes in (relevance, tokens):
        assert [box.x for box in boxes] == pytest.approx([LEFT + quarter * i for i in range(4)])
    assert [box.fill == STRONG for box in relevance] == [False, False, True, True]


@pytest.mark.parametrize("count", [1, 2, 7, 128, 1100])
def test_nothing_leaves_the_picture(count):
    shown = [Thumbnail(i, 4.0 * i, np.zeros((90, 160, 3), np.uint8)) for i in range(min(count, 6))]
    figure = draw(
        pieces([0.5] * count), question="why? " * 200, answer="x" * 900, caption="c" * 300, pictures=shown
    )
    for shape in figure.shapes:
        if isinstance(shape, Rectangle | Picture):
            assert shape.x >= -0.01
            assert shape.x + shape.width <= figure.width + 0.01
            assert shape.y >= -0.01
            assert shape.y + shape.height <= figure.height + 0.01
        if isinstance(shape, Label):
            assert 0 < shape.y < figure.height
            assert shape.x + (text_width(shape.text, shape.size) if shape.anchor == "start" else 0) <= 960
    assert to_png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("shown", [0, 2])
@pytest.mark.parametrize("answer", ["", "to the right"])
def test_no_text_covers_another(shown, answer):
    pictures = [Thumbnail(i, 4.0 * i, np.zeros((90, 160, 3), np.uint8)) for i in range(shown)]
    figure = draw(pieces([0.1, 0.9, 0.4]), question="what?", answer=answer, caption="c", pictures=pictures)
    boxes = []
    for label in (shape for shape in figure.shapes if isinstance(shape, Label) and shape.text):
        wide = text_width(label.text, label.size)
        left = label.x - {"start": 0, "middle": wide / 2, "end": wide}[label.anchor]
        boxes.append((left, left + wide, label.y - 0.8 * label.size, label.y))
    for i, (left, right, top, bottom) in enumerate(boxes):
        for other in boxes[i + 1 :]:
            assert right <= other[0] or other[1] <= left or bottom <= other[2] or other[3] <= top


def test_a_still_image_has_one_column_over_the_whole_width():
    (relevance,), _ = columns(draw([Piece(0.0, 0.0, 0.7, 3)]))
    assert relevance.width == pytest.approx(RIGHT - LEFT, abs=1.5)


def test_hints_say_when_and_how_much():
    hints = [
        shape.hint for shape in draw(pieces([0.25, 0.75], [1, 16])).shapes if isinstance(shape, Rectangle)
    ]
    assert [hint for hint in hints if hint] == [
        "00:00–00:04 · relevance 0.25 · 1 token",
        "00:04–00:08 · relevance 0.75 · 16 tokens",
    ]


def test_pictures_keep_their_order_and_do_not_overlap():
    lefts = beside([LEFT + 5.0, LEFT + 6.0, RIGHT - 1.0, RIGHT - 0.5], [200.0] * 4)
    assert lefts[0] == LEFT
    assert lefts[-1] == RIGHT - 200
    assert all(b - a >= 200 for a, b in itertools.pairwise(lefts))


def test_svg_holds_the_text_as_text_and_fetches_nothing():
    question = 'Who says "<script>alert(1)</script>" & why?\x1b[2J'
    shown = [Thumbnail(1, 4.0, np.full((90, 160, 3), 200, np.uint8))]
    text = to_svg(draw(pieces([0.1, 0.9]), question=question, answer="世界 ]]> ok", pictures=shown))
    root = ElementTree.fromstring(text)
    written = [element.text for element in root.iter(f"{SVG}text")]
    assert written[:2] == [question.replace("\x1b", "\N{REPLACEMENT CHARACTER}"), "世界 ]]> ok"]
    assert not list(root.iter(f"{SVG}script"))
    (image,) = root.iter(f"{SVG}image")
    assert image.get("href").startswith("data:image/jpeg;base64,")
    assert len([r for r in root.iter(f"{SVG}rect") if r.get("class") == "segment"]) == 2


def test_png_shows_the_columns_and_the_pictures():
    green = np.zeros((90, 160, 3), np.uint8)
    green[..., 1] = 200
    figure = draw(pieces([0.1, 0.9]), pictures=[Thumbnail(1, 6.0, green)])
    image = Image.open(io.BytesIO(to_png(figure)))
    assert image.size == (2 * figure.width, 2 * figure.height)
    strong = next(shape for shape in figure.shapes if isinstance(shape, Rectangle) and shape.fill == STRONG)
    middle = (round(2 * (strong.x + strong.width / 2)), round(2 * (strong.y + strong.height / 2)))
    assert "#{:02x}{:02x}{:02x}".format(*image.getpixel(middle)) == STRONG
    picture = next(shape for shape in figure.shapes if isinstance(shape, Picture))
    middle = (round(2 * (picture.x + picture.width / 2)), round(2 * (picture.y + picture.height / 2)))
    assert image.getpixel(middle) == (0, 200, 0)


def test_thumbnails_are_the_frames_of_the_moments(tmp_path):
    path = clips.write(tmp_path / "clip.mp4", count=200, rate=10)
    found = thumbnails(Video.open(path), pieces([0.1, 0.9, 0.8, 0.1, 0.6]), count=4)
    # Segments 1 and 2 are one moment, shown where it is strongest: the middle of segment 1.
    assert [(one.index, one.time) for one in found] == [(1, 6.0), (4, 18.0)]
    assert [clips.index_of(one.pixels) for one in found] == [60, 180]


def test_a_moment_that_cannot_be_decoded_has_no_thumbnail(tmp_path):
    path = clips.write(tmp_path / "clip.mp4", count=20, rate=10)
    video = Video.open(path)
    path.unlink()
    assert thumbnails(video, pieces([0.9])) == []


@pytest.mark.parametrize(
    ("name", "error"),
    [("plot.pdf", UsageError), ("plot", UsageError), ("no/plot.png", TempoError), ("folder.svg", TempoError)],
)
def test_files_that_cannot_be_written(tmp_path, name, error):
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(error, match=name):
        check_output(tmp_path / name, [".png", ".svg"])


@pytest.mark.parametrize("name", ["a.png", "a.svg", "A.SVG"])
def test_save_leaves_one_file(tmp_path, name):
    (tmp_path / name).write_text("an older one")
    draw(pieces([0.5])).save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).stat().st_size > 500


def test_wrapping_loses_nothing_until_the_last_line():
    text = "one two three four five six seven eight nine ten"
    lines = wrap(text, size=10, width=100, lines=9)
    assert " ".join(lines) == text
    assert all(text_width(line, 10) <= 100 for line in lines)
    assert wrap(text, size=10, width=100, lines=2)[-1].endswith("…")
    assert "".join(wrap("世界" * 30, size=10, width=100, lines=9)) == "世界" * 30
    assert wrap("  ", size=10, width=100, lines=2) == []
