"""Measures what sampling at keyframes saves, and what it costs in right answers.

    python -m tempo.benchmarking.keyframe_sampling --rounds 3
    python -m tempo.benchmarking.keyframe_sampling bbb.mp4 --minutes 60 --rounds 3
    python -m tempo.benchmarking.keyframe_sampling --answers ten --max-frames 171

The first form renders two videos of an hour into VIDEOS, one with x264's defaults and one with a keyframe
every two seconds; others are repeated to that length. Of every video it takes turns: decode every frame,
answer a question with exact sampling, and with keyframes, each from opening the file to the last token. The
last form asks every question of folders that `tempo synthetic make` wrote in both ways; fewer frames make the
samples of a short video as far apart as those of a long one.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tempo.console import say
from tempo.inference.engine import Tempo
from tempo.loader import load
from tempo.reporting.tables import Table, to_markdown
from tempo.stats import bootstrap
from tempo.synthetic.evaluate import run_benchmark
from tempo.video.sampling_options import SAMPLING_MODES, SamplingMode
from tempo.video.video import Sampling, Video

from .variants import decode_every_frame
from .videos import as_long_as, rendered

VIDEOS = Path("bench-videos")
DRAWN = {"drawn, x264's defaults": None, "drawn, a keyframe every 2 s": 2.0}
QUESTION = "What happens in this video?"


@dataclass
class Seconds:
    """How long something took, and how long all cores together worked on it, in each round."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure one more round."""
        wall, processor = time.perf_counter(), time.process_time()
        yield
        self.wall.append(time.perf_counter() - wall)
        self.processor.append(time.process_time() - processor)

    def share_of(self, other: Seconds) -> list[str]:
        """Medians as a share of another's, in seconds and in processor seconds."""
        pairs = ((self.wall, other.wall), (self.processor, other.processor))
        return [f"{statistics.median(own) / statistics.median(its):.3f}" for own, its in pairs]


def first_answer(model: Tempo, path: str, mode: SamplingMode, *, max_frames: int | None) -> Sampling:
    """Answer a question from opening the file to the last token; return what was watched."""
    session = model.watch(Video.open(path), cache="none", sampling=mode, max_frames=max_frames, progress=None)
    session.ask(QUESTION, max_new_tokens=16)
    return session.sampling


def time_table(model: Tempo, videos: dict[str, str], *, rounds: int, max_frames: int | None) -> Table:
    """Median seconds of decoding every frame and of a first answer in both ways, taking turns."""
    rows = []
    for name, path in videos.items():
        whole, exact, keyframes = Seconds(), Seconds(), Seconds()
        for number in range(rounds):
            say(f"{name}: round {number + 1} of {rounds}")
            with whole.measured():
                decode_every_frame(Video.open(path), model)
            with exact.measured():
                first_answer(model, path, "exact", max_frames=max_frames)
            with keyframes.measured():
                sampling = first_answer(model, path, "keyframes", max_frames=max_frames)
        seconds = [f"{statistics.median(one.wall):.2f}" for one in (whole, exact, keyframes)]
        taken = f"{sampling.at_keyframes} of {len(sampling)}"
        rows.append([name, taken, *seconds, *exact.share_of(whole), *keyframes.share_of(whole)])
    head = ["video", "samples at keyframes", "every frame, s", "exact, s", "keyframes, s"]
    head += [f"{mode} ÷ every frame{unit}" for mode in SAMPLING_MODES for unit in ("", ", processor")]
    return Table("First answer", head, rows)


def answer_table(model: Tempo, folders: Sequence[Path], *, max_frames: int | None) -> Table:
    """Right answers in both ways, and the difference question by question with its 95 % interval."""
    right = {}
    for mode in SAMPLING_MODES:
        say(f"asking every question, sampling={mode}")
        result = run_benchmark(model, folders, watching={"sampling": mode, "max_frames": max_frames})
        right[mode] = [bool(answer["right"]) for answer in result.answers]
    differences = [
        float(keyframes) - float(exact)
        for exact, keyframes in zip(right["exact"], right["keyframes"], strict=True)
    ]
    low, high = bootstrap(differences)
    total = len(differences)
    rows = [
        [mode, f"{100 * sum(hits) / total:.1f} % ({sum(hits)}/{total})", ""] for mode, hits in right.items()
    ]
    points = 100 * sum(differences) / total
    rows.append(["keyframes − exact", f"{points:+.1f} points", f"[{100 * low:+.1f}, {100 * high:+.1f}]"])
    return Table("Right answers", ["sampling", "right", "95 % interval"], rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("videos", nargs="*", metavar="VIDEO", help="measure on these too")
    parser.add_argument("--minutes", type=float, default=60, metavar="M", help="length (default: 60)")
    parser.add_argument("--height", type=int, default=720, metavar="P", help="of drawn videos (default: 720)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds (default: 3)")
    parser.add_argument("--max-frames", type=int, metavar="N", help="most frames to watch")
    parser.add_argument(
        "--answers", nargs="+", type=Path, metavar="FOLDER", help="compare right answers instead"
    )
    args = parser.parse_args()
    model = load()
    if args.answers:
        table = answer_table(model, args.answers, max_frames=args.max_frames)
    else:
        VIDEOS.mkdir(exist_ok=True)
        videos = {
            name: str(rendered(VIDEOS, args.minutes, args.height, keyframe_seconds=every))
            for name, every in DRAWN.items()
        }
        videos |= {Path(path).name: str(as_long_as(path, VIDEOS, args.minutes)) for path in args.videos}
        table = time_table(model, videos, rounds=args.rounds, max_frames=args.max_frames)
    print(to_markdown("Sampling at keyframes", [table]))


if __name__ == "__main__":
    main()
