"""What is watched of an address, and how it is refused."""

from __future__ import annotations

import numpy as np
import pytest

import clips
from tempo.errors import TempoError
from tempo.video.video import Sampling, Video


def watched(video: Video, *, rate: float = 10.0) -> list[int]:
    """The numbers of all pictures that are watched at `rate` a second."""
    times = np.arange(0.01, video.duration, 1 / rate)
    return [
        index
        for batch in video.stream(Sampling(times, rate), chunk=64)
        for index in clips.indices(batch.frames)
    ]


def refusal(address: str, **options: object) -> str:
    """The one line that an address is refused with."""
    with pytest.raises(TempoError) as caught:
        Video.open(address, **options)  # type: ignore[arg-type]
    line = str(caught.value)
    assert "\n" not in line
    assert "Immediate exit" not in line
    return line
