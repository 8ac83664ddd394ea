"""The times of pictures that carry none, from the order in which the decoder puts them out."""

from __future__ import annotations

from av.video.frame import VideoFrame


class DisplayOrder:
    """Counts the pictures that come out of the decoder: the n-th is shown at the n-th time.

    Packets have been numbered, and a frame carries the number of its packet in place of a presentation time.
    Pictures in front of a keyframe are not shown after it, so where some were lost, keyframes set it right.
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
