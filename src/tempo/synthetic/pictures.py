"""Pictures of everyday things and signs with words and numbers, for `--wide` synthetic videos.

The pictures are Microsoft's Fluent Emoji (MIT), packed into one sheet:

    python -m tempo.synthetic.pictures FOLDER      # the assets of the npm package @lobehub/fluent-emoji-3d
"""

from __future__ import annotations

import argparse
from functools import lru_cache
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_TILE = 96  # pixels of a picture on the sheet
_COLUMNS = 20
_LEVELS = (96, 48, 24)  # pixels of the reduced copies, so that a small drawing has no aliasing
_FOLDER = resources.files("tempo.assets").joinpath("pictures")
_SIGN = (192, 96)  # pixels of a sign


def _listed() -> dict[str, str]:
    """Names of the pictures with their code points, in the order of the sheet."""
    lines = _FOLDER.joinpath("names.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split() for line in lines)


PICTURES = tuple(_listed())


@lru_cache(maxsize=1)
def _sheet() -> Image.Image:
    with _FOLDER.joinpath("sheet.webp").open("rb") as stream:
        return Image.open(stream).convert("RGBA")


def level_of(pixels: float) -> int:
    """The smallest of the kept sizes that has `pixels`, or the largest."""
    return next((level for level in reversed(_LEVELS) if level >= pixels), _TILE)


@lru_cache(maxsize=len(_LEVELS) * len(PICTURES))
def picture(name: str, level: int) -> Image.Image:
    """The picture called `name`, RGBA, `level` pixels wide and high."""
    row, column = divmod(PICTURES.index(name), _COLUMNS)
    box = (column * _TILE, row * _TILE, (column + 1) * _TILE, (row + 1) * _TILE)
    return _sheet().crop(box).resize((level, level), Image.Resampling.BOX)


@lru_cache(maxsize=2048)
def sign(text: str, tint: tuple[int, int, int], level: int) -> Image.Image:
    """A sign in the colour `tint` with `text` on it, RGBA, `level` pixels high and twice as wide."""
    image = Image.new("RGBA", _SIGN, (25, 25, 25, 255))
    pen = ImageDraw.Draw(image)
    pen.rectangle((5, 5, _SIGN[0] - 6, _SIGN[1] - 6), fill=(*tint, 255))
    ink = (20, 20, 20, 255) if np.dot(tint, (0.3, 0.59, 0.11)) > 120 else (250, 250, 250, 255)
    font = ImageFont.load_default(100)
    left, top, right, bottom = font.getbbox(text)
    scale = min((_SIGN[0] - 28) / (right - left), (_SIGN[1] - 28) / (bottom - top))
    font = ImageFont.load_default(100 * scale)
    pen.text(
        (_SIGN[0] / 2, _SIGN[1] / 2), text, font=font, fill=ink, anchor="mm", stroke_width=2, stroke_fill=ink
    )
    return image.resize((2 * level, level), Image.Resampling.BOX)


def stretched(
    image: Image.Image,
    size: tuple[int, int],
    radii: tuple[float, float],
    angle: float,
    *,
    middle: tuple[float, float],
) -> np.ndarray:
    """`image` drawn around `middle` of a field of `size` = (width, height), turned clockwise by `angle`
    (radians); float32 [H, W, 4] in 0 … 255.

    Args:
        radii: how far it reaches from its middle before it is turned, in pixels of the field.
    """
    cos, sin = np.cos(angle), np.sin(angle)
    # From a pixel of the result to one of the image: turn back, then stretch.
    across, along = image.width / (2 * radii[0]), image.height / (2 * radii[1])
    middle_x, middle_y = middle
    a, b = across * cos, across * sin
    d, e = -along * sin, along * cos
    c = image.width / 2 - a * middle_x - b * middle_y
    f = image.height / 2 - d * middle_x - e * middle_y
    turned = image.transform(size, Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BICUBIC)
    return np.array(turned, np.float32)


def pack_sheet(folder: Path) -> None:
    """Put the pictures of names.txt from `folder` onto the sheet."""
    listed = _listed()
    rows = -(-len(listed) // _COLUMNS)
    sheet = Image.new("RGBA", (_COLUMNS * _TILE, rows * _TILE))
    for number, point in enumerate(listed.values()):
        found = next(path for end in ("", "-fe0f") if (path := folder / f"{point}{end}.webp").exists())
        tile = Image.open(found).convert("RGBA").resize((_TILE, _TILE), Image.Resampling.LANCZOS)
        row, column = divmod(number, _COLUMNS)
        sheet.paste(tile, (column * _TILE, row * _TILE))
    sheet.save(str(_FOLDER.joinpath("sheet.webp")), quality=80, method=6)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    pack_sheet(parser.parse_args().folder)


if __name__ == "__main__":
    main()
