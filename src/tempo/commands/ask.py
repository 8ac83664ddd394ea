"""Watch a video and answer a question about it.

VIDEO is a file, a GIF, a still image or a folder of images. The answer comes first, then a bar of the
memory tokens that each moment was given, and the moments that mattered most for the question.

Examples:
  tempo ask holiday.mp4 "When does the dog jump into the water?"
  tempo ask match.mkv "Who scores first?  A. red  B. blue" --budget 4096
  tempo ask lecture.mp4 "What is on the third slide?" --cache disk   # the next question is cheap
  tempo ask clip.mp4 "What happens?" --json | jq .segments
  tempo ask film.mp4 "Who is at the door?" --model Vision-CAIR/Tempo-6B --device cuda
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tempo.commands.options import (
    add_answer_options,
    add_model_options,
    add_watch_options,
    given,
    non_empty_text,
)

if TYPE_CHECKING:
    from tempo.answer import Answer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare VIDEO, QUESTION, the shared options and the form of the output."""
    parser.add_argument("video", metavar="VIDEO", help="what to watch")
    parser.add_argument(
        "question", metavar="QUESTION", type=non_empty_text, help="what to find out, in plain words"
    )
    add_model_options(parser)
    add_watch_options(parser)
    add_answer_options(parser)
    output = parser.add_argument_group("output").add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    output.add_argument(
        "-v", "--verbose", action="store_true", help="print the figures too: tokens, seconds, memory"
    )
    output.add_argument("-q", "--quiet", action="store_true", help="print the answer alone")


def run(args: argparse.Namespace) -> None:
    """Watch, ask, print."""
    from tempo.commands.report import answer_text, print_answer, print_json, record
    from tempo.terminal import Output, say

    answer = _ask(args)
    if lost := answer.video.lost_seconds:
        say(f"{args.video}: damaged; {lost:.1f} s of it could not be decoded, and the rest was watched")
    console = Output()
    if args.json:
        print_json(record(answer))
    elif args.quiet:
        console.print(answer_text(answer), soft_wrap=True)
    else:
        print_answer(answer, console, verbose=args.verbose)


def _ask(args: argparse.Namespace) -> Answer:
    import tempo
    from tempo.commands.report import with_watching
    from tempo.terminal import counting

    video = tempo.Video.open(args.video)  # first: it is quick, and loading a model for nothing is not
    with counting("watching", "frames", before="loading", after="answering") as progress:
        model = tempo.load(args.model, **given(args, "base", "device", "dtype", "attention"))
        session = model.watch(video, cache=args.cache, progress=progress, **given(args, "fps", "max_frames"))
        options = given(args, "budget", "adaptive", "keep", "max_new_tokens", "temperature")
        return with_watching(session.ask(args.question, **options), session)
