"""Watch a video and answer a question about it.

VIDEO is a file, a GIF, a still image or a folder of images, or the http(s) address of a file. The answer
comes first, then a bar of the memory tokens that each moment was given, and the moments that mattered most
for the question. Times in the answer are shown as mm:ss. "nothing stands out" says that the model found no
moment that matters for the question: mistrust the answer then.

The embedded model knows generated videos (`tempo synthetic make`) and nothing else. For real footage, fetch
the published weights with `tempo download`, and name them with --model.

Examples:
  tempo synthetic make films
  tempo ask films/0-000.mp4 "Which way does the pink triangle move?"
  tempo ask films/0-000.mp4 "Which comes first, the pink star or the triangle?" --budget 256
  tempo ask films/0-000.mp4 "Is there a heart?" --cache disk   # the next question is cheap
  tempo ask films/0-000.mp4 "When is the red circle on screen?" --json | jq .moments
  tempo ask films/0-000.mp4 "What colour is the triangle?" --plot answer.png   # or .svg, or .html
  tempo ask film.mp4 "Who is at the door?" --model Vision-CAIR/Tempo-6B --device cuda
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .options import (
    add_answer_options,
    add_model_options,
    add_plot_option,
    add_watch_options,
    given,
    non_empty_text,
)

if TYPE_CHECKING:
    from tempo.inference.results import Answer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare VIDEO, QUESTION, the shared options and the form of the output."""
    parser.add_argument("video", metavar="VIDEO", help="what to watch")
    parser.add_argument(
        "question", metavar="QUESTION", type=non_empty_text, help="what to find out, in plain words"
    )
    add_model_options(parser)
    add_watch_options(parser)
    add_answer_options(parser)
    group = parser.add_argument_group("output")
    add_plot_option(group)
    output = group.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    output.add_argument(
        "-v", "--verbose", action="store_true", help="print the figures too: tokens, seconds, memory"
    )
    output.add_argument("-q", "--quiet", action="store_true", help="print the answer alone")


def run(args: argparse.Namespace) -> None:
    """Watch, ask, print."""
    from tempo.console import Output
    from tempo.inference.serialization import record

    from .answer_report import (
        answer_text,
        print_answer,
        print_json,
        tell_losses,
    )

    if args.plot is not None:
        from tempo.reporting.plot import check_path

        check_path(args.plot)  # before anything that takes long
    answer = _ask(args)
    tell_losses(answer.video)
    console = Output()
    if args.json:
        print_json(record(answer))
    elif args.quiet:
        console.print(answer_text(answer), soft_wrap=True)
    else:
        print_answer(answer, console, verbose=args.verbose)


def _ask(args: argparse.Namespace) -> Answer:
    from tempo.console import counting

    from .answer_report import tell_unfamiliar
    from .model_loading import (
        WATCH_OPTIONS,
        answer_options,
        load_model,
        open_video,
        remark_on_watching,
    )

    remark_on_watching(args)
    video = open_video(args.video)  # first: it is quick, and loading a model for nothing is not
    with counting("watching", "frames", before="loading", after="answering") as progress:
        model = load_model(args)
        tell_unfamiliar(model, video)
        session = model.watch(video, cache=args.cache, progress=progress, **given(args, *WATCH_OPTIONS))
        answer = session.ask(args.question, **answer_options(args)).with_watching(session.timings)
        if args.plot is not None:
            from tempo.reporting.plot import plot, save

            save(plot(answer, video, question=args.question), args.plot)
        return answer
