"""Find the moments of a video that matter for something.

WHAT is a question or a description. Nothing is answered: the compressor says how relevant each segment is,
and those that stand out are listed, neighbours together. --clips cuts them out into files; packets are copied
without encoding them again where the format allows, and such a clip begins at the keyframe before its moment.
Where no segment is relevant enough, "nothing stands out" is printed and nothing is cut.

The embedded model knows generated videos (`tempo synthetic make`) and nothing else. For real footage, fetch
the published weights with `tempo download`, and name them with --model.

Examples:
  tempo synthetic make films
  tempo moments films/0-000.mp4 "a pink triangle"
  tempo moments films/0-000.mp4 "a green thing" --count 10 --clips green
  tempo moments match.mkv "Who scores?" --clips goals --model Vision-CAIR/Tempo-6B
  tempo moments lecture.mp4 "a slide with a table" --at-least 0.5 --json --model Vision-CAIR/Tempo-6B
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tempo.inference.moments import COUNT

from .options import (
    add_model_options,
    add_watch_options,
    given,
    non_empty_text,
    positive_integer,
    share,
)

if TYPE_CHECKING:
    from tempo.inference.moments import Moment
    from tempo.video.clips import Clip
    from tempo.video.video import Video


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare VIDEO, WHAT, how many moments, the clips, and the shared options."""
    parser.add_argument("video", metavar="VIDEO", help="what to watch")
    parser.add_argument("what", metavar="WHAT", type=non_empty_text, help="what to look for, in plain words")
    add_model_options(parser)
    add_watch_options(parser)
    output = parser.add_argument_group("output")
    output.add_argument(
        "--count",
        type=positive_integer,
        default=COUNT,
        metavar="N",
        help=f"moments at most (default: {COUNT})",
    )
    output.add_argument(
        "--at-least",
        type=share,
        metavar="R",
        help="relevance, 0 to 1, from which on a segment belongs to a moment "
        "(default: half of the strongest one's, but no less than the model's own floor)",
    )
    output.add_argument(
        "--clips", type=Path, metavar="DIR", help="cut the moments out into files in DIR; made if need be"
    )
    output.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def run(args: argparse.Namespace) -> None:
    """Watch, route, list, and cut."""
    import tempo
    from tempo.console import Output, counting
    from tempo.formatting import clock
    from tempo.inference.moments import nothing_stands_out, strongest
    from tempo.inference.serialization import SEGMENT_KEYS, moment_values

    from .answer_report import print_json, tell_losses, tell_unfamiliar
    from .model_loading import (
        WATCH_OPTIONS,
        load_model,
        open_video,
        remark_on_watching,
    )

    remark_on_watching(args)
    video = open_video(args.video)
    _check_clips(args.clips, video)
    with counting("watching", "frames", before="loading", after="looking") as progress:
        model = load_model(args)
        tell_unfamiliar(model, video)
        session = model.watch(video, cache=args.cache, progress=progress, **given(args, *WATCH_OPTIONS))
        segments = session.route(args.what)
    tell_losses(session.video_info)
    floor = model.config.relevance_floor
    found = strongest(segments, args.count, floor=floor, at_least=args.at_least)
    if not found and args.at_least is not None:
        best = max(segments, key=lambda segment: segment.relevance)
        raise tempo.TempoError(
            f"{args.video}: no moment has a relevance of {args.at_least:g}; the strongest, at "
            f"{clock(best.start)}, has {best.relevance:.2f}"
        )
    clips = _cut(video, found, args.clips)
    if args.json:
        moments = [
            moment_values(stretch, segments)
            | ({"clip": dataclasses.asdict(clip) | {"path": str(clip.path)}} if clip else {})
            for stretch, clip in zip(found, clips, strict=True)
        ]
        print_json(
            {
                "what": args.what,
                "model": model.name,
                "video": dataclasses.asdict(session.video_info),
                "moments": moments,
                "segments": [{key: getattr(segment, key) for key in SEGMENT_KEYS} for segment in segments],
                "warnings": list(session.warnings),
            }
        )
    elif found:
        Output().print(_table(found, clips))
    else:
        Output().print(nothing_stands_out(segments))


def _check_clips(folder: Path | None, video: Video) -> None:
    """Before anything that takes long: can clips be made at all?"""
    from tempo.errors import TempoError

    if folder is None:
        return
    if video.kind == "image":
        raise TempoError(f"{video.path}: a still image has no moments to cut out; leave --clips out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TempoError(f"{folder}: cannot be made ({error.strerror}); name another folder") from error


def _cut(video: Video, found: Sequence[Moment], folder: Path | None) -> Sequence[Clip | None]:
    from tempo.console import counting
    from tempo.video.clips import cut

    if folder is None:
        return [None] * len(found)
    clips = []
    with counting("cutting", "clips", before="cutting") as progress:
        for done, stretch in enumerate(found, 1):
            clips.append(cut(video, stretch.start, stretch.end, folder))
            progress(done, len(found))
    return clips


def _table(found: Sequence[Moment], clips: Sequence[Clip | None]) -> Any:
    """A row a moment, the strongest first."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from tempo.console import ACCENT, FAINT
    from tempo.formatting import clock, printable

    from .render import meter

    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column("moment", style=ACCENT, no_wrap=True)
    table.add_column("relevance", no_wrap=True)
    if any(clips):
        table.add_column("clip", overflow="fold")
    for stretch, clip in zip(found, clips, strict=True):
        row = [
            Text(f"{clock(stretch.start)}–{clock(stretch.end)}"),
            Text(f"{meter(stretch.relevance)}  {stretch.relevance:.2f}"),
        ]
        if clip is not None:
            begins = "" if clip.copied else "  encoded anew"
            row.append(Text.assemble(printable(str(clip.path)), (begins, FAINT)))
        table.add_row(*row)
    return table
