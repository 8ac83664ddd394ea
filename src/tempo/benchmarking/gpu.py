"""Measures every phase on a GPU at the published size, with and without what may make it faster.

Run it as `python -m tempo.benchmarking.gpu`, in a checkout with PYTHONPATH=src where tempo is not installed:
PyTorch and transformers are enough. Weights are random. Each row is the median of five calls; its share of
the floor is the time that its operations, or its bytes, take at the rates that this very process reaches in a
matrix product and in a copy. It first holds tiny weights to the recorded reference vectors on the device, in
float32 and in bfloat16, and exits with status 1 where float32 misses them.

Examples:
  python -m tempo.benchmarking.gpu --reference tests/reference
  python -m tempo.benchmarking.gpu --video film.mp4             # with PyAV: decoding too
  python -m tempo.benchmarking.gpu --device cpu --tiny          # does it run at all?
  python -m tempo.benchmarking.gpu --only follow-ups --device cpu --segments 2 --together 2
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

import torch

from .follow_up_costs import FollowUps, report_follow_ups
from .gpu_phases import Phases, Row, Work
from .gpu_timing import measure_limits
from .published_size import PUBLISHED, TINY
from .reference_check import check_references

REFERENCE = Path("tests", "reference")


def main(arguments: list[str] | None = None) -> int:
    """Check, measure and print; the exit status."""
    args = _parser().parse_args(arguments)
    device = torch.device(args.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print(f"--device {device}: torch finds no GPU here; use --device cpu --tiny to try the script")
        return 1
    size = TINY if args.tiny else PUBLISHED
    dtype = getattr(torch, args.dtype)
    wanted = args.only or ("check", "phases", "follow-ups", "decoding")
    status = 0
    if "check" in wanted:
        status = _check(args.reference, device)
    if "phases" in wanted:
        work = Work.tiny(device, dtype) if args.tiny else Work(size, device, dtype)
        limits = measure_limits(device, dtype, width=256 if args.tiny else 8192)
        print(
            f"{_name(device)}, {args.dtype}: {limits.flops / 1e12:.3g} TFLOP/s, {limits.bytes / 1e9:.3g} GB/s"
        )
        print(_line("phase", "measure", "ms", "of floor", "GB", "launches"))
        for row in Phases(work, limits).rows():
            print(_shown(row), flush=True)
    if "follow-ups" in wanted:
        asked = FollowUps(size, device, dtype, args.segments, args.together, args.kept, args.peak)
        report_follow_ups(asked)
    if "decoding" in wanted:
        _decode(args.video)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tempo.benchmarking.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--device", default="cuda", help="(default: cuda)")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--tiny", action="store_true", help="use a tiny model of the same form")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=("check", "phases", "follow-ups", "decoding"),
        metavar="PART",
        help="check, phases, follow-ups or decoding (default: all)",
    )
    parser.add_argument(
        "--reference",
        type=Path,
        default=REFERENCE,
        metavar="DIR",
        help=f"folder with the reference vectors (default: {REFERENCE})",
    )
    parser.add_argument("--video", type=Path, metavar="FILE", help="a video file to decode")
    group = parser.add_argument_group("follow-ups")
    group.add_argument("--segments", type=int, default=4, metavar="N", help="(default: 4)")
    group.add_argument("--together", type=int, default=1, metavar="N", help="in a batch (default: 1)")
    group.add_argument("--kept", type=int, nargs="+", default=[22, 32, 64], metavar="K", help="memory tokens")
    group.add_argument("--peak", type=float, metavar="TFLOPS", help="what the device can do at most")
    return parser


def _check(folder: Path, device: torch.device) -> int:
    """Hold tiny weights to the reference vectors; 1 where float32 misses them."""
    if not (folder / "cases.json").is_file():
        print(f"reference vectors: skipped, {folder} has none; name their folder with --reference")
        return 0
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    status = 0
    for dtype in (torch.float32, torch.bfloat16):
        for check in check_references(folder, device, dtype):
            held = check.holds(dtype)
            print(f"{'ok  ' if held else 'MISS'} {str(dtype).removeprefix('torch.')} {check}", flush=True)
            status = status or int(dtype == torch.float32 and not held)
    torch.backends.cuda.matmul.allow_tf32 = before
    return status


def _decode(path: Path | None) -> None:
    """Time the decoding of 1024 frames of a file, by as many threads as the decoder takes."""
    if importlib.util.find_spec("av") is None:
        print("video decoding: skipped, PyAV is not installed")
        return
    if path is None:
        print("video decoding: skipped, no --video")
        return
    import time

    from tempo.video.video import Video

    video = Video.open(path)
    begun = time.perf_counter()
    frames = sum(len(batch) for batch in video.stream(video.sample(), chunk=8))
    took = time.perf_counter() - begun
    print(f"video decoding: {frames} frames of {path.name} in {took:.2f} s, {frames / took:.0f} a second")


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _shown(row: Row) -> str:
    timing = row.timing
    if timing is None:
        return _line(row.phase, row.measure, row.skipped or "", "", "", "")
    share = "" if row.floor is None else f"{row.floor / timing.seconds:.0%}"
    launches = "" if timing.launches is None else str(timing.launches)
    return _line(
        row.phase, row.measure, f"{timing.seconds * 1e3:.3g}", share, f"{timing.memory / 1e9:.2f}", launches
    )


def _line(*cells: str) -> str:
    return "{:<10} {:<34} {:>10} {:>8} {:>6} {:>8}".format(*cells).rstrip()


if __name__ == "__main__":
    raise SystemExit(main())
