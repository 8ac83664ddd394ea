"""The demo of `make demo`: a ten-minute synthetic video, watched once and asked twice.

The video is rendered and encoded here, with backgrounds and wordings that the embedded model was never
trained on, so the right answers are known. Everything that it prints is measured at that moment.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import av
from rich.text import Text

import tempo
from tempo.cli.answer_report import answer_text
from tempo.cli.render import chart, indented, moments
from tempo.console import ACCENT, FAINT, Output, progress_bar
from tempo.formatting import clock, printable, size
from tempo.inference.results import Answer
from tempo.inference.session import Session
from tempo.synthetic.answer_scoring import is_correct
from tempo.synthetic.video_files import FileSpec, make_file

OUT = Path(__file__).parent / "out"
SEED = "demo"
KINDS = ("direction", "shape")  # of the two questions

console = Output()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="a checkpoint's folder or hub name (default: the embedded model)")
    parser.add_argument("--seconds", type=int, default=600, help="length of the video (default: 600)")
    args = parser.parse_args()

    heading("1  A video", "rendered here and encoded as H.264")
    path, truth = make_video(args.seconds)
    first, second = (question_of(truth, kind) for kind in KINDS)

    heading("2  A question", "the video is watched, and what does not depend on the question is cached")
    with progress_bar("loading"):
        model = tempo.load(args.model)
    session = watch(model, path)
    answer = session.ask(first["text"], max_new_tokens=48).with_watching(session.timings)
    show(answer, first, session)

    heading("3  Another question", "nothing is watched again")
    again = session.ask(second["text"], max_new_tokens=48)
    show(again, second, session)

    console.print()
    ratio = answer.usage.timings["total"] / again.usage.timings["total"]
    line(Text.assemble((f"1/{ratio:.0f}", ACCENT), " of the first one's time."))

    heading("Now you")
    here = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    for command in (
        f'.venv/bin/tempo ask {here} "{first["text"]}" --verbose',
        ".venv/bin/tempo synthetic make videos --seconds 120",
        ".venv/bin/tempo ask --help",
    ):
        line(Text(command, style=FAINT))
    console.print()


def make_video(length: int) -> tuple[Path, dict[str, Any]]:
    """A video of LENGTH seconds and its ground truth, rendered unless they exist."""
    path = OUT / f"video-{length}.mp4"
    if not path.with_suffix(".json").is_file():
        OUT.mkdir(exist_ok=True)
        spec = FileSpec(seconds=length, height=360, fps=12, held_out=True)
        with progress_bar("rendering", "frames") as progress:
            make_file(path, spec, seed=SEED, questions=40, progress=progress)
    truth = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        codec = stream.codec_context.codec.long_name.split(" / ")[0]
    line(
        f"{path.name}: {clock(truth['seconds'])} of {codec}, {truth['width']}×{truth['height']}, "
        f"{truth['fps']} frames a second, {size(path.stat().st_size)}, {len(truth['scenes'])} scenes"
    )
    return path, truth


def question_of(truth: dict[str, Any], kind: str) -> dict[str, Any]:
    """The first open question of a KIND."""
    return next(q for q in truth["questions"] if q["kind"] == kind and not q["options"])


def watch(model: tempo.Tempo, path: Path) -> Session:
    """Watch with a progress bar, which leaves one line."""
    started = time.perf_counter()
    with progress_bar("watching", "frames") as progress:
        session = model.watch(path, cache="host", progress=progress)
    frames, took = len(session.sampling), time.perf_counter() - started
    line(Text.assemble("watched ", ("━" * 40, ACCENT), f" {frames} frames in {took:.1f} s"))
    console.print()
    return session


def show(answer: Answer, question: dict[str, Any], session: Session) -> None:
    """Print the question, the answer, whether it is right, the strongest moments, and the timings."""
    line(Text(printable(question["text"]), style="italic"))
    window = session.engine.config.segment_frames / session.sampling.fps
    if is_correct(question, answer.text, window=window):
        verdict = Text("  ✓ correct", style="green")
    else:
        verdict = Text(f"  ✗ the correct answer is {question['answer']}", style="red")
    line(Text.assemble(answer_text(answer), verdict))
    floor = answer.relevance_floor
    for block in (chart(answer.segments, floor=floor), moments(answer.segments, floor=floor)):
        console.print()
        line(block)
    evidence = ", ".join(f"{clock(start)}–{clock(end)}" for start, end in question["evidence"])
    line(Text.assemble((evidence, FAINT), ("  is when it is on screen", FAINT)))
    console.print()
    timings = dict(answer.usage.timings)
    total = timings.pop("total")
    phases = " + ".join(f"{name} {took:.2f}" for name, took in timings.items() if took)
    line(Text.assemble(f"{total:.2f} s", (f" = {phases}", FAINT)))


def heading(title: str, remark: str = "") -> None:
    console.print()
    console.print(Text.assemble((title, "bold"), (f"  {remark}" if remark else "", FAINT)), soft_wrap=True)
    console.print()


def line(text: str | Text) -> None:
    console.print(indented(Text(text) if isinstance(text, str) else text, 3), soft_wrap=True)


if __name__ == "__main__":
    main()
