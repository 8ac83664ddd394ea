"""How many decoders work on one video file at once."""

from __future__ import annotations

import numpy as np

from tempo.host_cores import cores
from tempo.video.sampling_options import DecodeWorkers

from .container import VideoFile

MOST_WORKERS = 8  # that are taken by themselves; each holds a decoder's frames
FEWEST_SAMPLES = 16  # of which several decoders are started by themselves


def number_of_workers(wanted: DecodeWorkers, file: VideoFile, times: np.ndarray) -> int:
    """How many decoders take part in decoding the samples at `times`.

    One where the file has to be read in order (its times say nothing, or it comes over the network), or
    where so few samples are taken that starting more decoders costs more than they save. On two cores, the
    threads of one decoder keep both of them busy.
    """
    if not file.plannable:
        return 1
    if wanted != "auto":
        return min(wanted, max(1, len(times)))
    if file.remote is not None or len(times) < FEWEST_SAMPLES:
        return 1
    return max(1, min(MOST_WORKERS, cores() // 2))
