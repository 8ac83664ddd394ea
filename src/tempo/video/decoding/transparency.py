"""Composites pictures with an alpha channel over white, as is done with still images."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import av
import av.video.frame
import av.video.reformatter
import av.video.stream
import numpy as np
from av.video.codeccontext import VideoCodecContext

# FFmpeg's own decoders of VP8 and VP9 ignore the second picture, which holds the alpha channel.
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_UNUSED = frozenset({"rawvideo"})  # codecs whose fourth component is zero in many files that have no alpha


def decoder_of(stream: av.video.stream.VideoStream) -> VideoCodecContext:
    """The stream's own decoder, or one that decodes its alpha channel too."""
    name = _ALPHA_DECODERS.get(stream.codec_context.name)
    if name not in av.codecs_available or alpha_mode(stream) != "1":
        return stream.codec_context
    decoder: Any = av.CodecContext.create(name, "r")
    return decoder


def alpha_mode(stream: av.video.stream.VideoStream) -> str | None:
    """The alpha_mode tag of Matroska and WebM: "1" for an alpha channel. Remuxing changes its case."""
    return next((value for key, value in stream.metadata.items() if key.lower() == "alpha_mode"), None)


@lru_cache
def has_alpha(pixel_format: str) -> bool:
    """Whether its pictures may be transparent."""
    form = av.VideoFormat(pixel_format)
    return not form.has_palette and any(component.is_alpha for component in form.components)


def over_white(
    frame: av.video.frame.VideoFrame,
    codec: str,
    reformatter: av.video.reformatter.VideoReformatter,
    options: dict[str, Any],
) -> av.video.frame.VideoFrame:
    """The picture as RGB over white, of its own size; the frame itself where nothing shines through.

    Args:
        codec: that decoded the frame.
        reformatter, options: that turn it to RGB.
    """
    picture = reformatter.reformat(frame, format="rgba", **options).to_ndarray()
    alpha = picture[..., 3:]
    if alpha.min() == 255 or (codec in _UNUSED and not alpha.any()):
        return frame
    darkness: np.ndarray = (255 - picture[..., :3]).astype(np.uint16) * alpha.astype(np.uint16) + 128
    shown = 255 - ((darkness + (darkness >> 8)) >> 8)  # divided by 255
    return av.VideoFrame.from_ndarray(shown.astype(np.uint8), format="rgb24")
