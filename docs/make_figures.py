"""Draw the pictures of the documentation: ``python docs/make_figures.py`` rewrites ``docs/figures/*.svg``.

Plain SVG: no fonts of our own, the same bytes on every machine.
"""

import tomllib
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

FIGURES = Path(__file__).parent / "figures"

INK, SOFT, LINE, PAPER = "#1f2933", "#61707f", "#d5dce3", "#ffffff"
SKY, KEPT, HOT, COOL = "#eef3f8", "#9fb6cc", "#d1495b", "#8fa3b8"

# The example video: what each segment shows, how relevant it is to the question, how many tokens it is given.
QUESTION = "Which way does the red circle move?"
SCENES = (
    ("square", "#3d7dca", 0.04, 1),
    ("square", "#3d7dca", 0.06, 1),
    ("triangle", "#4c9f70", 0.05, 1),
    ("circle", "#edae49", 0.28, 3),
    ("circle", "#d1495b", 0.93, 8),
    ("circle", "#d1495b", 0.97, 8),
    ("circle", "#d1495b", 0.90, 7),
    ("square", "#8f5bb5", 0.10, 1),
    ("triangle", "#3d7dca", 0.04, 1),
    ("circle", "#4c9f70", 0.22, 2),
    ("square", "#edae49", 0.05, 1),
    ("triangle", "#8f5bb5", 0.03, 1),
)
SEGMENT_SECONDS = 4

WIDTH, HEIGHT = 960, 500
LEFT, STEP, CELL = 208, 60, 52  # the first segment's left edge, the distance to the next, its width
RIGHT = LEFT + STEP * len(SCENES) - (STEP - CELL)


def rectangle(
    x: float, y: float, width: float, height: float, fill: str, *, radius: float = 4, more: str = ""
) -> str:
    box = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}"'
    return f'<rect {box} fill="{fill}" {more}/>'


def words(x: float, y: float, text: str, *, size: int = 13, fill: str = INK, more: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{fill}" {more}>{escape(text)}</text>'


def shape(kind: str, x: float, y: float, size: float, fill: str) -> str:
    """A thing of the example video, centred at X, Y."""
    if kind == "circle":
        return f'<circle cx="{x:g}" cy="{y:g}" r="{size:g}" fill="{fill}"/>'
    if kind == "square":
        return rectangle(x - size, y - size, 2 * size, 2 * size, fill, radius=1)
    points = f"{x:g},{y - size:g} {x + size:g},{y + size:g} {x - size:g},{y + size:g}"
    return f'<polygon points="{points}" fill="{fill}"/>'


def step_label(y: float, title: str, lines: tuple[str, ...]) -> list[str]:
    """The name of a row and what it means, to the left of the row."""
    parts = [words(24, y, title, size=15, more='font-weight="700"')]
    return parts + [words(24, y + 18 + 16 * i, line, size=12, fill=SOFT) for i, line in enumerate(lines)]


def how_it_works() -> str:
    """A video and a question on their way through the model, one column a segment."""
    parts = [rectangle(0.5, 0.5, WIDTH - 1, HEIGHT - 1, PAPER, radius=12, more=f'stroke="{LINE}"')]
    centres = [LEFT + STEP * i + CELL / 2 for i in range(len(SCENES))]

    parts += step_label(44, "A long video", ("a few seconds", "at a time"))
    for i, (kind, colour, _, _) in enumerate(SCENES):
        x = LEFT + STEP * i
        parts.append(rectangle(x, 30, CELL, 40, SKY, more=f'stroke="{LINE}"'))
        # The red circle crosses its three segments from left to right.
        shift = (-14, 0, 14)[i - 4] if 4 <= i <= 6 else (-8, 6, -3)[i % 3]
        parts.append(shape(kind, x + CELL / 2 + shift, 50, 8, colour))
        parts.append(
            words(
                x, 86, f"{SEGMENT_SECONDS * i // 60:02d}:{SEGMENT_SECONDS * i % 60:02d}", size=10, fill=SOFT
            )
        )

    parts += step_label(124, "1  Prefill", ("no question yet:", "computed once, cached"))
    for centre in centres:
        parts.append(f'<path d="M{centre:g} 94 V112" stroke="{LINE}" stroke-width="1.5"/>')
        parts += [rectangle(centre - 26, 114 + 11 * row, CELL, 8, KEPT, radius=2) for row in range(3)]

    parts += step_label(196, "2  Score", ("how relevant is each", "segment to the question?"))
    baseline = 248
    parts.append(f'<path d="M{LEFT} {baseline} H{RIGHT}" stroke="{LINE}"/>')
    for centre, (_, _, relevance, _) in zip(centres, SCENES, strict=True):
        tall = 64 * relevance
        parts.append(
            rectangle(centre - 9, baseline - tall, 18, tall, HOT if relevance > 0.5 else COOL, radius=2)
        )
    parts.append(
        words(RIGHT, 192, f"“{QUESTION}”", size=14, fill=HOT, more='font-style="italic" text-anchor="end"')
    )

    parts += step_label(284, "3  Compress", ("k memory tokens each,", "within the budget"))
    for centre, (_, _, relevance, tokens) in zip(centres, SCENES, strict=True):
        for token in range(8):
            x, y = centre - 22 + 11 * (token % 4), 272 + 13 * (token // 4)
            kept = token < tokens
            fill = (HOT if relevance > 0.5 else COOL) if kept else PAPER
            parts.append(rectangle(x, y, 9, 9, fill, radius=2, more=f'stroke="{fill if kept else LINE}"'))
        parts.append(words(centre, 314, str(tokens), size=11, fill=SOFT, more='text-anchor="middle"'))

    parts += step_label(362, "4  Answer", ("a language model reads", "the storyline"))
    parts.append(rectangle(LEFT, 340, RIGHT - LEFT, 44, SKY, radius=6, more=f'stroke="{LINE}"'))
    x = LEFT + 12.0
    for i, (_, _, relevance, tokens) in enumerate(SCENES):
        parts.append(words(x, 366, f"{SEGMENT_SECONDS * i + 2}s", size=11, fill=SOFT))
        x += 23
        for _ in range(tokens):
            parts.append(rectangle(x, 357.5, 7.5, 9, HOT if relevance > 0.5 else COOL, radius=2))
            x += 9.3
        x += 7

    middle = f"{(LEFT + RIGHT) / 2:g}"
    parts.append(f'<path d="M{middle} 390 v22" stroke="{INK}" stroke-width="1.5" marker-end="url(#tip)"/>')
    parts.append(
        rectangle(LEFT, 418, RIGHT - LEFT, 54, PAPER, radius=8, more=f'stroke="{INK}" stroke-width="1.5"')
    )
    parts.append(words(LEFT + 20, 451, "to the right", size=18, more='font-weight="700"'))
    parts.append(words(LEFT + 150, 450, "resting on 00:16–00:28", size=13, fill=HOT))
    parts.append(
        words(
            RIGHT - 20,
            450,
            "the next question starts at step 2",
            size=13,
            fill=SOFT,
            more='text-anchor="end"',
        )
    )
    return _document(parts, "How Tempo answers a question about a video")


def allocation() -> str:
    """The example's relevance and tokens, drawn as `--save answer.svg` draws an answer's."""
    from tempo.reporting.plot import draw, to_svg

    segments = [
        Segment(SEGMENT_SECONDS * i, SEGMENT_SECONDS * (i + 1), relevance, tokens)
        for i, (_, _, relevance, tokens) in enumerate(SCENES)
    ]
    caption = f"example · {8 * len(SCENES)} frames · {sum(tokens for *_, tokens in SCENES)} tokens"
    return to_svg(draw(segments, question=QUESTION, answer="to the right", caption=caption))


class Segment(NamedTuple):
    """What a plot shows of a segment."""

    start: float
    end: float
    relevance: float
    tokens: int


def badge(label: str, value: str) -> str:
    """A label and its value, as wide as their words need."""
    left, right = (7 * len(text) + 16 for text in (label, value))
    parts = [rectangle(0, 0, left + right, 22, INK), rectangle(left, 0, right, 22, "#0b5cad")]
    for middle, text in ((left / 2, label), (left + right / 2, value)):
        parts.append(words(middle, 15, text, fill="#ffffff", more='text-anchor="middle"'))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="22" role="img" '
        f'font-family="Helvetica, Arial, DejaVu Sans, sans-serif">\n<title>{escape(label)}: {escape(value)}'
        "</title>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def badge_licence() -> str:
    """The licence that the package states."""
    return badge("licence", _project()["license"])


def badge_python() -> str:
    """The versions of Python that the package says it runs on."""
    kinds = [one.rpartition(" ")[2] for one in _project()["classifiers"] if "Python :: 3." in one]
    return badge("python", " | ".join(kinds))


def _project() -> dict[str, Any]:
    path = Path(__file__).parents[1] / "pyproject.toml"
    project: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    return project


def _document(parts: list[str], title: str) -> str:
    fonts = "Helvetica, Arial, DejaVu Sans, sans-serif"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' width="{WIDTH}" height="{HEIGHT}" role="img" font-family="{fonts}">\n'
        f"<title>{escape(title)}</title>\n"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="{INK}"/></marker></defs>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def main() -> None:
    FIGURES.mkdir(exist_ok=True)
    for draw in (how_it_works, allocation, badge_licence, badge_python):
        (FIGURES / f"{draw.__name__}.svg").write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
