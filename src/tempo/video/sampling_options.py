"""The values of the options `sampling` and `decode_workers`, for modules that are imported before NumPy."""

from __future__ import annotations

from typing import Literal

from tempo.errors import UsageError
from tempo.number_checks import is_whole, shown

SamplingMode = Literal["exact", "keyframes"]
"""Which frame stands for a sampled time: "exact" takes the one on screen; "keyframes" takes the nearest
keyframe within half a sampling interval, where there is one, and the one on screen elsewhere."""

SAMPLING_MODES: tuple[SamplingMode, ...] = ("exact", "keyframes")

DecodeWorkers = int | Literal["auto"]
"""A number of decoders, or "auto": as many as pay for the file on this machine."""

NO_KEYFRAMES = (
    "sampling=keyframes: no keyframe of this file could be found near a sampled time, so every frame was "
    "taken exactly, which is as slow as sampling=exact"
)


def check_sampling(value: SamplingMode) -> SamplingMode:
    """Raises UsageError unless it is one of the modes."""
    if value not in SAMPLING_MODES:
        raise UsageError(f"sampling={value!r}: choose from {', '.join(SAMPLING_MODES)}")
    return value


def check_decode_workers(value: DecodeWorkers) -> DecodeWorkers:
    """Raises UsageError unless it is "auto" or a whole number of at least 1."""
    if value != "auto" and not is_whole(value, least=1):
        raise UsageError(
            f"decode_workers must be a whole number of at least 1, or 'auto', not {shown(value)}"
        )
    return value
