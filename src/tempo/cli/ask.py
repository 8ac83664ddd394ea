"""Answer a question about a video.

VIDEO is a video file, an image, a GIF, a folder of images, or the http(s) address of a file. The output is
the answer, a chart of the memory tokens that each segment got, and the moments most relevant to the question.
Times in the answer appear as mm:ss. If the output says "nothing stands out", no moment is relevant to the
question: do not trust the answer.

The embedded model understands only synthetic videos (`tempo synthetic make`). For real footage, run
`tempo download` and pass the published weights with --model; they are for non-commercial research only.

Examples:
  tempo synthetic make films
  tempo ask films/0-000.mp4 "Which way does the pink triangle move?"
  tempo ask films/0-000.mp4 "Which comes first, the pink star or the triangle?" --budget 256
  tempo ask films/0-000.mp4 "Is there a heart?" --cache disk   # makes the next question cheap
  tempo ask films/0-000.mp4 "When is the red circle on screen?" --json | jq .moments
  tempo ask films/0-000.mp4 "What colour is the triangle?" --save answer.html   # or .png, .srt …
  tempo ask film.mp4 "Who is at the door?" --model Vision-CAIR/Tempo-6B --device cuda
  tempo ask films/0-000.mp4 "Is there a star?" --server http://127.0.0.1:8000   # sends the file once
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .model_loading import WATCH_OPTIONS
from .options import (
    add_answer_options,
    add_cluster_option,
    add_model_options,
    add_save_option,
    add_server_option,
    add_watch_options,
    given,
    non_empty_text,
)

if TYPE_CHECKING:
    from tempo.inference.results import Answer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("video", metavar="VIDEO", help="the video to watch")
    parser.add_argument(
        "question", metavar="QUESTION", type=non_empty_text, help="the question, in plain words"
    )
    add_server_option(parser)
    add_model_options(parser, several_devices=True)
    add_cluster_option(parser)
    add_watch_options(parser)
    add_answer_options(parser)
    group = parser.add_argument_group("output")
    add_save_option(group)
    output = group.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    output.add_argument("-v", "--verbose", action="store_true", help="print tokens, seconds and memory too")
    output.add_argument("-q", "--quiet", action="store_true", help="print only the answer")


def run(args: argparse.Namespace) -> None:
    """Watch, ask, print."""
    from tempo.console import Output

    from .answer_report import answer_text, print_answer, print_json

    if args.save:
        from tempo.inference.results import FORMATS
        from tempo.reporting.output_path import check_output

        for path in args.save:
            check_output(path, FORMATS)  # before anything that takes long
    answer = _ask_server(args) if args.server else _ask(args)
    console = Output()
    if args.json:
        print_json(answer.to_dict())
    elif args.quiet:
        console.print(answer_text(answer), soft_wrap=True)
    else:
        print_answer(answer, console, verbose=args.verbose)


def _ask_server(args: argparse.Namespace) -> Answer:
    """Let a server watch and answer. A file is sent once; an address is fetched by the server."""
    from pathlib import Path

    from tempo.console import progress_bar, say
    from tempo.serving.client import answer_of
    from tempo.video.remote import scheme_of

    from .model_loading import server_client

    client = server_client(args)
    with progress_bar("sending", "", before="sending", after="answering"):
        video = args.video if scheme_of(args.video) else client.upload(Path(args.video))
        own = given(args, "budget", "adaptive", "keep", *WATCH_OPTIONS) | {"segments": True}
        options = {"temperature": args.temperature, "max_completion_tokens": args.max_new_tokens}
        options = {name: value for name, value in options.items() if value is not None}
        answer = answer_of(client.answer(video, args.question, tempo=own, **options), path=args.video)
    for warning in answer.warnings:
        say(warning)
    for path in args.save:
        answer.save(path)
    return answer


def _ask(args: argparse.Namespace) -> Answer:
    from .model_loading import answer_options, open_video, watched

    video = open_video(args.video)  # before the model loads, which takes longer
    with watched(args, video, then="answering") as session:
        answer = session.ask(args.question, **answer_options(args)).with_watching(session.timings)
        for path in args.save:
            answer.save(path, video=video)
    return answer
