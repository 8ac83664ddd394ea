"""Numbers pictures without presentation times in the order in which the decoder outputs them."""

from __future__ import annotations

from av.video.frame import VideoFrame


class DisplayOrder:
    """Counts the frames that come out of the decoder: the n-th is shown at the n-th time.

    The demuxer numbered the packets, and a frame carries the number of its packet in place of a presentation
    time. No frame in front of a keyframe is shown after it, so where frames were lost, keyframes correct the
    count.
    """

    def __init__(self) -> None:
        self._next = 0

    def number(self, frame: VideoFrame) -> int:
        """The place of the next frame among all pictures of the file, from 0."""
        number = self._next
        if frame.key_frame and frame.pts is not None:
            number = max(number, frame.pts)
        self._next = number + 1
        return number
