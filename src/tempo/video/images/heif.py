"""Recognises HEIF and AVIF files, stills and sequences, and opens HEIF stills with pillow-heif."""

from __future__ import annotations

import importlib.util
import os
from typing import Literal

from PIL import ImageFile

from tempo.errors import TempoError
from tempo.video.frames import Size
from tempo.video.iso_boxes import boxes, number, within

SUFFIXES = (".heic", ".heif", ".hif")  # of still images that need the extra
HEAD_BYTES = 256  # from the beginning of a file, in which its brands are
_STILLS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"mif3", b"MiHE", b"MiHM", b"MiHB"}
)
_SEQUENCES = frozenset({b"hevc", b"hevx", b"hevm", b"hevs", b"msf1"})


Family = Literal["HEIF", "HEIF sequence", "AVIF", "AVIF sequence"]
_AVIF: dict[bytes, Family] = {b"avif": "AVIF", b"avis": "AVIF sequence"}


def family(path: str) -> Family | None:
    """The family of a file by its brands; None: another kind of file.

    Movies of other brands (MP4, QuickTime) are None, even if they list one of these as well. Raises OSError
    if the file cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
        if head[4:8] != b"ftyp":
            return None
        length = min(int.from_bytes(head[:4], "big"), len(head))
        brands = [head[8:12], *(head[at : at + 4] for at in range(16, length - 3, 4))]
        if brands[0] in _AVIF:
            return _AVIF[brands[0]]
        if brands[0] in _SEQUENCES | _STILLS:
            kinds = {box.kind for box in boxes(file)}
            if b"moov" in kinds and (brands[0] in _SEQUENCES or b"meta" not in kinds):
                return "AVIF sequence" if b"avis" in brands else "HEIF sequence"
            return "AVIF" if b"avif" in brands and not {b"heic", b"heix"} & set(brands) else "HEIF"
    return None


def largest_size(path: str) -> Size:
    """(width, height) of the largest picture that a HEIF or AVIF file describes; (0, 0): there is none."""
    sizes = [(0, 0)]
    with open(path, "rb") as file:
        for meta in (box for box in boxes(file) if box.kind == b"meta"):
            # Four bytes of version and flags stand before the boxes in it.
            for properties in within(file, meta._replace(begin=meta.begin + 4), b"iprp"):
                for container in within(file, properties, b"ipco"):
                    for size in within(file, container, b"ispe"):
                        sizes.append((number(file, size, 4), number(file, size, 8)))
    return max(sizes, key=lambda size: size[0] * size[1])


def is_installed() -> bool:
    """Whether HEIF images can be read here."""
    return importlib.util.find_spec("pillow_heif") is not None


def needed(path: str) -> TempoError:
    """What to say of a file, or a folder, that needs the extra where it is not installed."""
    return TempoError(
        f"{path}: HEIC photographs need an extra: pip install 'tempo-video[heif]' (or convert them to JPEG)"
    )


def open_heif(path: str) -> ImageFile.ImageFile:
    """Open a HEIF image at its primary picture, whole if it is made of tiles; it is not decoded yet.

    Raises TempoError where pillow-heif is not installed, SyntaxError when the file is damaged.
    """
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise needed(path) from error
    with open(path, "rb") as file:
        # Its decoder would invent what is missing.
        size = os.path.getsize(path)
        if any(box.kind in (b"meta", b"mdat") and box.end > size for box in boxes(file)):
            raise SyntaxError("the file ends too early")
    return HeifImageFile(path)
