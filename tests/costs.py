"""What checksums and HDR cost. Run by hand, on an idle machine.

    python tests/costs.py

Checksums: reading all cached segments of ten minutes from disk with and without comparing them, beside a
follow-up question, which reads each of them twice. HDR: decoding and converting a video that is tagged PQ and
BT.2020, over one of the same pictures that is not, at two frames a second and at every frame.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import clips
import tempo
from tempo.inference.cache_entry import bytes_of
from tempo.inference.prefix_cache import DiskCache
from tempo.networks.kv_cache import ScratchBuffer
from tempo.video.video import Video

ROUNDS = 7
HDR = {"x264-params": "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"}


def least(*calls: Callable[[], object]) -> list[float]:
    """The shortest time of each, in seconds, taken in turn."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for call, taken in zip(calls, times, strict=True):
            begun = time.perf_counter()
            call()
            taken.append(time.perf_counter() - begun)
    return [min(taken) for taken in times]


def checksums(folder: Path) -> None:
    """Print what comparing costs beside a follow-up."""
    model = tempo.load()
    model.disk = DiskCache(folder / "cache")
    path = clips.write(folder / "ten minutes.mp4", count=6000, rate=10, size=(320, 180), options={"g": "20"})
    session = model.watch(path, cache="disk")
    (key,) = [entry.name for entry in model.disk.root.iterdir()]
    found = model.disk.open(key)
    assert found is not None
    buffer = ScratchBuffer()
    rows = [(entry, index) for entry in found[0] for index in range(len(entry.segments))]

    def compared() -> None:
        for entry, index in rows:
            entry.row(index, buffer)

    def plain() -> None:
        for entry, index in rows:
            row = buffer.reserve(entry.row_shape, dtype=entry.dtype, device=model.device)
            with entry.file.path.open("rb", buffering=0) as file:
                file.seek(entry.offset + index * row.nbytes)
                file.readinto(bytes_of(row))

    number = iter(range(ROUNDS))
    with_sums, without, follow_up = least(
        compared, plain, lambda: session.ask(f"Is there a red circle {next(number)}?", max_new_tokens=2)
    )
    more = 2 * (with_sums - without)
    print(f"{len(rows)} segments: {with_sums * 1e3:.1f} ms with checksums, {without * 1e3:.1f} without")
    print(f"follow-up: {follow_up * 1e3:.0f} ms, of it {more / follow_up:.1%} for checksums")


def hdr(folder: Path) -> None:
    """Print ratios of HDR to SDR."""
    rng = np.random.default_rng(0)
    base = rng.integers(0, 255, (720, 1280, 3), np.uint8)
    written = [
        clips.write(
            folder / f"{name}.mp4",
            count=150,
            rate=30,
            size=(1280, 720),
            pix_fmt=pix_fmt,
            options={"g": "30", "preset": "ultrafast", **options},
            draw=lambda index: np.roll(base, index * 8, axis=1),
        )
        for name, pix_fmt, options in (("sdr", "yuv420p", {}), ("hdr", "yuv420p10le", HDR))
    ]
    for size in ((512, 288), None):
        for fps in (2.0, 30.0):

            def watch(path: Path, size: tuple[int, int] | None = size, fps: float = fps) -> None:
                video = Video.open(path)
                for _ in video.stream(video.sample(fps=fps), chunk=8, size=size):
                    pass

            sdr, high = least(lambda: watch(written[0]), lambda: watch(written[1]))
            shown = "512x288" if size else "full size"
            print(f"HDR over SDR, {shown}, {fps:g} frames a second: {high / sdr:.2f}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        checksums(Path(name))
        hdr(Path(name))
