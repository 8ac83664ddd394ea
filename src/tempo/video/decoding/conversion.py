"""Converts decoded frames to upright RGB arrays: rotation, pixel aspect, colours, alpha, scaling."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Any, NamedTuple

import av.video.codeccontext
import av.video.frame
import av.video.reformatter
import av.video.stream
import numpy as np

from tempo.video.frames import Size

from .color import (
    UNSPECIFIED,
    Colorimetry,
    Tags,
    coding_of,
    first_specified,
)
from .display_shape import fit, pixel_aspect, square
from .tone_mapping import SIGNAL_FORMAT, ToneMapper
from .transparency import decoder_of, has_alpha, over_white


class Orientation(NamedTuple):
    """How to turn a stored picture upright: first transpose it, then flip it."""

    transposed: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def of(cls, frame: av.video.frame.VideoFrame) -> Orientation:
        """From the display matrix, which shows stored (x, y) at (a x + c y, b x + d y). Nearest quarter turn.

        Call it once a video, not for every frame: reading side data puts a frame into a reference cycle,
            which
        keeps its megabytes until the garbage collector runs.
        """
        try:
            matrix: Any = frame.side_data.get("DISPLAYMATRIX")
        except ValueError:
            # PyAV refuses side data that it has no name for (Exif, the views of spatial video), all of it.
            return cls._turned(frame.rotation)
        if matrix is None:
            return cls()
        a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix))
        if abs(b) > abs(a):
            return cls(True, c < 0, b < 0)
        return cls(False, a < 0, d < 0)

    @classmethod
    def _turned(cls, degrees: float) -> Orientation:
        """For a picture that is shown turned counterclockwise by `degrees`. Nearest quarter turn."""
        quarters = round(degrees / 90) % 4
        return (cls(), cls(True, False, True), cls(False, True, True), cls(True, True, False))[quarters]

    def apply(self, picture: np.ndarray) -> np.ndarray:
        """[H, W, 3] stored → [H', W', 3] upright, C-contiguous."""
        if self.transposed:
            picture = picture.swapaxes(0, 1)
        return np.ascontiguousarray(picture[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1])

    def swap(self, size: Size) -> Size:
        """The size of the stored picture for that of the upright one, and the other way round."""
        return (size[1], size[0]) if self.transposed else size


class Appearance(NamedTuple):
    """How the first frame of a video is displayed. Later frames of other shapes are fitted into it.

    Attributes:
        orientation, rotation: how it is turned, and the degrees that PyAV reports for each frame.
        aspect: width ÷ height of a stored pixel.
        aspect_from_container: whether the container gives that, for the whole file; otherwise it may change
            from frame to frame.
        size: (width, height), upright and in square pixels.
    """

    orientation: Orientation
    rotation: int
    aspect: Fraction
    aspect_from_container: bool
    size: Size

    @classmethod
    def of(cls, stream: av.video.stream.VideoStream, frame: av.video.frame.VideoFrame) -> Appearance:
        """From the first decoded frame of a stream."""
        orientation = Orientation.of(frame)
        own = stream.codec_context.sample_aspect_ratio
        aspect = pixel_aspect(stream.sample_aspect_ratio, own)
        size = orientation.swap(square((frame.width, frame.height), aspect))
        return cls(orientation, frame.rotation, aspect, aspect != pixel_aspect(own), size)


class Converter:
    """Converts decoded frames to upright RGB of one size; libswscale scales while it converts the colours.

    A frame of another shape than the first is fitted between black bars.
    """

    def __init__(self, size: Size, appearance: Appearance) -> None:
        self._size = size
        self._appearance = appearance
        self._orientation, self._rotation = appearance.orientation, appearance.rotation
        self._aspect = appearance.aspect
        self._shape: Size | None = None  # of the latest picture, and what `_stored_size_of` says of it
        self._stored_size: Size = size
        self._context: av.video.codeccontext.VideoCodecContext | None = None
        self._follows = True  # whether the decoder reports rotations of the container
        self._container_tags = Tags()
        self._reformatter = av.video.reformatter.VideoReformatter()
        self._tone_mapper: ToneMapper | None = None

    @property
    def frame_bytes(self) -> int:
        """The size of a converted frame."""
        return 3 * self._size[0] * self._size[1]

    def copy(self) -> Converter:
        """One that has not seen any frame, for another thread."""
        return Converter(self._size, self._appearance)

    def decoder(self, stream: av.video.stream.VideoStream) -> av.video.codeccontext.VideoCodecContext:
        """The decoder to use for the stream, whose frames this then converts."""
        self._context = decoder_of(stream)
        self._follows = self._context is stream.codec_context
        self._container_tags = Tags.of(stream.codec_context)
        return self._context

    def see(self, frame: av.video.frame.VideoFrame) -> None:
        """Track rotation and pixel aspect; call it with every decoded frame, in order, shown or not.

        They change where a sequence begins. Some decoders report a rotation with that frame only, and the
        pixel aspect some frames too early.
        """
        if not (frame.key_frame and self._follows):
            return
        if frame.rotation != self._rotation:
            self._orientation, self._rotation = Orientation.of(frame), frame.rotation
        if self._context is not None and not self._appearance.aspect_from_container:
            self._aspect = pixel_aspect(self._context.sample_aspect_ratio)
        self._shape = None

    def __call__(self, frame: av.video.frame.VideoFrame) -> np.ndarray:
        """uint8 [H, W, 3] of the size given."""
        pixel_format = frame.format.name
        coding = coding_of(pixel_format, self._tags_of(frame), frame.color_range)
        options = coding.options
        if options:
            frame.colorspace = options["src_colorspace"]  # PyAV 17 needs it here
        width, height = self._stored_size_of(frame)
        if has_alpha(pixel_format):
            codec = self._context.name if self._context is not None else ""
            opaque = over_white(frame, codec, self._reformatter, options)
            frame, options = opaque, options if opaque is frame else {}
        picture = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24" if coding.is_standard else SIGNAL_FORMAT,
            interpolation=av.video.reformatter.Interpolation.AREA,
            **options,
        )
        pixels = picture.to_ndarray() if coding.is_standard else self._map_tones(picture, coding.colorimetry)
        return _between_bars(self._orientation.apply(pixels), self._size)

    def _tags_of(self, frame: av.video.frame.VideoFrame) -> Tags:
        tags = Tags.of(frame)
        if UNSPECIFIED in tags and self._context is not None:
            tags = first_specified(tags, Tags.of(self._context), self._container_tags)
        return tags

    def _map_tones(self, picture: av.video.frame.VideoFrame, colorimetry: Colorimetry) -> np.ndarray:
        if self._tone_mapper is None or self._tone_mapper.colorimetry != colorimetry:
            self._tone_mapper = ToneMapper(colorimetry)
        return self._tone_mapper(picture)

    def _stored_size_of(self, frame: av.video.frame.VideoFrame) -> Size:
        """The size to scale the picture to, before it is turned upright."""
        shape = (frame.width, frame.height)
        if shape != self._shape:
            shown = self._orientation.swap(square(shape, self._aspect))
            first = self._appearance.size
            size = self._size if shown == first else fit(shown, frame=first, pixels=self._size)
            self._shape, self._stored_size = shape, self._orientation.swap(size)
        return self._stored_size


def _between_bars(picture: np.ndarray, size: Size) -> np.ndarray:
    """The picture in the middle of a black frame of `size`; the picture itself where it fills that."""
    height, width = picture.shape[:2]
    if (width, height) == size:
        return picture
    frame = np.zeros((size[1], size[0], 3), np.uint8)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    frame[top : top + height, left : left + width] = picture
    return frame
