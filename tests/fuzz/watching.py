"""What is done with a damaged file, in a process of its own, and what may come of it."""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tempo.errors import TempoError
from tempo.video.clips import cut
from tempo.video.video import Video

CPU_SECONDS, WALL_SECONDS = 20, 120  # the second is for what waits for nothing, on a machine that is busy
ADDRESS_SPACE = 6 << 30  # bytes
RESIDENT = 1 << 30  # bytes
FINE, REFUSED, FAULT = 0, 10, 11  # exit statuses


@dataclass(frozen=True)
class Outcome:
    """What came of one file. `fault`: what is wrong with that, None when nothing is."""

    refused: bool
    fault: str | None


class Watching:
    """A process that watches one file."""

    def __init__(self, path: Path) -> None:
        """Fork; this process must have no threads."""
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        self._begun = time.monotonic()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _watch_and_exit(path, self._said.fileno())

    def outcome(self) -> Outcome | None:
        """What came of it, None as long as it runs. Ends what hangs."""
        pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        if pid == 0:
            if time.monotonic() - self._begun > WALL_SECONDS:
                os.kill(self.pid, signal.SIGKILL)
            return None
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").strip()
        self._said.close()
        return Outcome(os.waitstatus_to_exitcode(status) == REFUSED, _fault(status, usage.ru_maxrss, said))


def _fault(status: int, resident: int, said: str) -> str | None:
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGXCPU:
        return f"takes more than {CPU_SECONDS} s\n{said}"
    if code == -signal.SIGKILL:
        return f"hangs, or was killed for want of memory\n{said}"
    if code < 0:
        return f"{signal.Signals(-code).name}\n{said}"
    if code == FAULT:
        return said
    if said:
        return f"prints: {said}"
    if resident * 1024 > RESIDENT:
        return f"takes {resident / 1024:.0f} MiB of memory"
    return None if code in (FINE, REFUSED) else f"ends with status {code}"


def _watch_and_exit(path: Path, said: int) -> None:
    """In the child. Whatever it says ends up in `said`."""
    status = FAULT
    try:
        os.dup2(said, 1)
        os.dup2(said, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        watch(path)
        status = FINE
    except TempoError as error:
        status = REFUSED if "\n" not in str(error) else FAULT
        if status == FAULT:
            print(f"not one line: {error}")
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def watch(path: Path) -> None:
    """Do with a file all that a user may have done with it. Raises TempoError where it is refused."""
    video = Video.open(path)
    assert 0 <= video.duration < float("inf"), f"lasts {video.duration} s"
    assert len(video.fingerprint) > 8
    for max_frames in (64, 5):
        sampling = video.sample(fps=5.0, max_frames=max_frames)
        assert 1 <= len(sampling) <= max_frames
        assert np.isfinite(sampling.times).all()
        shown = sum(len(batch) for batch in video.stream(sampling, chunk=8, size=(160, 96)))
        # Every moment is shown, or counted as lost.
        told = shown + video.damage.moments
        assert told == len(sampling), f"{len(sampling)} moments, {shown} shown, {video.damage}"
        assert len(video.damage.reasons) == len(video.damage.spans)
        assert bool(video.damage) or shown == len(sampling), "moments are lost in silence"
    if video.kind == "video":
        folder = path.with_name(f"{path.name}.clips")
        folder.mkdir()
        cut(video, 0.25 * video.duration, 0.75 * video.duration, folder)
