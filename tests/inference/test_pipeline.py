"""Memory stays flat, whatever the length of the video."""

import subprocess
import sys
import textwrap

import pytest

import clips
from reference_cases import REFERENCE


def peak_of_asking(path, *, max_frames):
    """(peak bytes, segments) of one question with nothing kept, in a process of its own, on small frames."""
    script = f"""
        import tempo
        from tempo.processing.image_processor import Geometry
        model = tempo.load({str(REFERENCE / "tempo-tiny")!r}, device="cpu", dtype="float32")
        model.geometry = Geometry(resize="direct", min_pixels=64 * 64, max_pixels=64 * 96)
        session = model.watch({str(path)!r}, cache="none", max_frames={max_frames})
        answer = session.ask("What?", budget=400, max_new_tokens=1)
        print(answer.usage.peak_memory_bytes, len(answer.segments))
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    return map(int, run.stdout.split())


@pytest.mark.slow
def test_five_times_the_length_takes_no_more_memory(tmp_path):
    """The decoded frames of the long video would be 690 MB, its kept cache 150 MB."""
    peaks = []
    for seconds in (300, 1500):
        path = tmp_path / f"{seconds}.mp4"
        clips.write(path, count=seconds * 2, rate=2, size=(320, 240))
        peak, segments = peak_of_asking(path, max_frames=4096)
        assert segments == seconds // 4
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 80e6  # what the allocator has not settled yet, and the storyline
