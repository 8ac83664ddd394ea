"""Opens image files with Pillow: recognises them by content, limits their size, decodes to upright RGB."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
from PIL import Image, ImageFile

from tempo.errors import TempoError
from tempo.video.frames import Size
from tempo.video.pixel_limit import check_pixels

from . import heif, mjpeg
from .animation import shortened_webp

# JPEG's opener takes the several views of MPO as well.
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "TGA")
SIGNED = ("PNG", "JPEG", "GIF", "WEBP", "AVIF", "JPEG2000")  # of which the first bytes leave no doubt
STRIP_PIXELS = 1 << 20  # that are laid over white at a time
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # by the value of Exif's orientation


def is_image(path: str) -> bool:
    """Whether the file's content is that of an image that Pillow reads, damaged or not. A movie is not."""
    if family := heif.family(path):
        # FFmpeg reads the sequences; the transparency of AVIF's is lost with it.
        return not family.endswith("sequence") or (family == "AVIF sequence" and "AVIF" in _openers())
    if mjpeg.is_stream(path):
        return False
    for name in _formats_of(path):
        if name in SIGNED:
            return True
        try:
            with _openers()[name][0](path, None):
                return True
        except Exception:
            continue
    return False


def open_image(path: str) -> ImageFile.ImageFile:
    """Open an image file of whatever name by its content. Nothing but its headers is read.

    Raises TempoError when it is none, cannot be read, or has more pixels than the limit.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise TempoError(f"{path}: not a file; give an image")
    with decoding(path):
        image = _opened(path)
    try:
        check_pixels(path, image.size)
    except TempoError:
        image.close()
        raise
    return image


def _opened(path: str) -> ImageFile.ImageFile:
    # Not through Image.open, whose own limit is one for the whole process, with a warning at half of it.
    family = heif.family(path)
    if family:
        check_pixels(path, heif.largest_size(path))  # before their own decoders call it damaged
    if family == "HEIF":
        return heif.open_heif(path)
    if family == "AVIF" and "AVIF" not in _openers():
        raise TempoError(f"{path}: this Pillow reads no AVIF images; pip install -U 'pillow>=11.3'")
    failure: Exception = SyntaxError("no known image format")
    for name in _formats_of(path):
        try:
            return _openers()[name][0](path, None)
        except Exception as error:
            failure = error
            if name == "WEBP" and (rest := shortened_webp(path)):
                return _openers()[name][0](rest, path)
    raise failure


def _openers() -> dict[str, tuple]:
    Image.init()
    return {name: Image.OPEN[name] for name in FORMATS if name in Image.OPEN}


def _formats_of(path: str) -> Iterator[str]:
    """Formats that a file may have by its first bytes."""
    with open(path, "rb") as file:
        head = file.read(16)
    for name, (_, accept) in _openers().items():
        if accept is not None:
            with suppress(IndexError, TypeError, struct.error):  # of what is shorter than a signature
                if accept(head) is True:
                    yield name
        # TGA has no signature and takes almost anything for itself: only where the name says so.
        elif path.lower().endswith(f".{name.lower()}"):
            yield name


@contextmanager
def decoding(path: str) -> Iterator[None]:
    """Turn any exception of the block into a TempoError: on damaged files Pillow raises all kinds."""
    try:
        yield
    except TempoError:
        raise
    except (MemoryError, Image.DecompressionBombError) as error:
        raise TempoError(f"{path}: the image is too large for the memory; make it smaller") from error
    except OSError as error:
        if error.errno is None:
            raise _refusal(path, error) from error
        raise TempoError(
            f"{path}: cannot be read ({error.strerror}); check the file and its permissions"
        ) from error
    except Exception as error:
        raise _refusal(path, error) from error


def _refusal(path: str, error: Exception) -> TempoError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return TempoError(f"{path}: the image cannot be decoded ({reason}); check that the file is complete")


def orientation_of(image: Image.Image) -> int:
    """Exif's orientation, 1 to 8; 1, which is upright, where there is none that can be read."""
    try:
        orientation = image.getexif().get(0x0112, 1)
    except Exception:
        return 1
    return orientation if orientation in _TURNS else 1


def upright_size(image: Image.Image) -> Size:
    """(width, height) as the picture is to be shown."""
    width, height = image.size
    return (height, width) if orientation_of(image) >= 5 else (width, height)


def to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB of the upright picture, over white where it is transparent. May be `image` itself."""
    image.load()  # before reading Exif, which may load it too; an error is raised only once
    orientation = orientation_of(image)
    image = to_8_bits(image)
    if image.has_transparency_data:
        image = _over_white(image)
    elif image.mode != "RGB":
        image = image.convert("RGB")
    return image if orientation == 1 else image.transpose(_TURNS[orientation])


def _over_white(image: Image.Image) -> Image.Image:
    """RGB, strip by strip: of a large picture there is no room for several copies."""
    width, height = image.size
    result = Image.new("RGB", image.size)
    rows = max(1, STRIP_PIXELS // width)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height))).convert("RGBA")
        white = Image.new("RGBA", strip.size, "white")
        result.paste(Image.alpha_composite(white, strip).convert("RGB"), (0, top))
    return result


def to_8_bits(image: Image.Image) -> Image.Image:
    """Gray of 16 or 32 bits → of 8: 16-bit ones divided by 257, others stretched over their range."""
    return Image.fromarray(_scaled(np.asarray(image))) if image.mode.startswith(("I", "F")) else image


def _scaled(values: np.ndarray) -> np.ndarray:
    whole = values.dtype.kind in "iu"
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        return (values.astype(np.uint32) * 255 // 65535).astype(np.uint8)
    if not whole:
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if whole and low >= 0 and high <= 255:
        return values.astype(np.uint8)
    if whole and low >= 0 and high < 65536:
        return (values.astype(np.uint32) * 255 // 65535).astype(np.uint8)
    return ((values - low) * (255.0 / max(high - low, 1e-12))).astype(np.uint8)


def to_pixels(image: Image.Image, size: Size | None) -> np.ndarray:
    """uint8 [H, W, 3] of an RGB picture, scaled to `size` (width, height) if one is given."""
    if size is not None and image.size != size:
        image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    return np.ascontiguousarray(np.asarray(image))
