"""Find the moments of a video that match a question or a description.

The compressor scores the relevance of each segment to WHAT; the command lists the segments that stand out,
neighbours merged into one moment, and generates no answer. --clips cuts the moments out into files: it copies
packets without re-encoding if the format allows, and such a clip begins at the keyframe before its moment. If
no segment is relevant enough, the command prints "nothing stands out" and cuts nothing.

The embedded model understands only synthetic videos (`tempo synthetic make`). For real footage, run
`tempo download` and pass the published weights with --model.

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

from tempo.moments import COUNT

from .options import (
    add_cluster_option,
    add_model_options,
    add_watch_options,
    non_empty_text,
    positive_integer,
    share,
)

if TYPE_CHECKING:
    from tempo.moments import Moment
    from tempo.video.clips import Clip
    from tempo.video.video import Video


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("video", metavar="VIDEO", help="the video to watch")
    parser.add_argument(
        "what", metavar="WHAT", type=non_empty_text, help="a question or a description, in plain words"
    )
    add_model_options(parser, several_devices=True)
    add_cluster_option(parser)
    add_watch_options(parser)
    output = parser.add_argument_group("output")
    output.add_argument(
        "--count",
        type=positive_integer,
        default=COUNT,
        metavar="N",
        help=f"most moments to list (default: {COUNT})",
    )
    output.add_argument(
        "--at-least",
        type=share,
        metavar="R",
        help="least relevance of a segment in a moment, 0 to 1 (default: half of the strongest segment's, "
        "but no less than the model's own floor)",
    )
    output.add_argument("--clips", type=Path, metavar="DIR", help="cut the moments out into files in DIR")
    output.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def run(args: argparse.Namespace) -> None:
    """Watch, score, list, and cut."""
    import tempo
    from tempo.console import Output
    from tempo.formatting import clock
    from tempo.inference.serialization import moment_values, segment_values
    from tempo.moments import nothing_stands_out, strongest

    from .answer_report import print_json
    from .model_loading import open_video, watched

    video = open_video(args.video)
    _check_clips(args.clips, video)
    with watched(args, video, then="scoring") as session:
        segments = session.route(args.what)
        floor = session.engine.config.relevance_floor
        found = strongest(segments, args.count, floor=floor, at_least=args.at_least)
        if not found and args.at_least is not None:
            best = max(segments, key=lambda segment: segment.relevance)
            raise tempo.TempoError(
                f"{args.video}: no moment has a relevance of {args.at_least:g}; the strongest, at "
                f"{clock(best.start)}, has {best.relevance:.2f}; lower --at-least"
            )
    clips = _cut(video, found, args.clips)
    if args.json:
        moments = [
            moment_values(moment, segments)
            | ({"clip": dataclasses.asdict(clip) | {"path": str(clip.path)}} if clip else {})
            for moment, clip in zip(found, clips, strict=True)
        ]
        print_json(
            {
                "what": args.what,
                "model": session.engine.name,
                "video": dataclasses.asdict(session.video_info),
                "moments": moments,
                "segments": [segment_values(segment) for segment in segments],
                "warnings": list(session.warnings),
            }
        )
    elif found:
        Output().print(_table(found, clips))
    else:
        Output().print(nothing_stands_out(segments))


def _check_clips(folder: Path | None, video: Video) -> None:
    """Raise TempoError if no clips can be written, before anything that takes long."""
    from tempo.errors import TempoError

    if folder is None:
        return
    if video.kind == "image":
        raise TempoError(f"{video.path}: a still image has no moments to cut out; omit --clips")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TempoError(f"{folder}: cannot be created ({error.strerror}); choose another folder") from error


def _cut(video: Video, found: Sequence[Moment], folder: Path | None) -> Sequence[Clip | None]:
    from tempo.console import progress_bar
    from tempo.video.clips import cut

    if folder is None:
        return [None] * len(found)
    clips = []
    with progress_bar("cutting", "clips", before="cutting") as progress:
        for done, moment in enumerate(found, 1):
            clips.append(cut(video, moment.start, moment.end, folder))
            progress(done, len(found))
    return clips


def _table(found: Sequence[Moment], clips: Sequence[Clip | None]) -> Any:
    """One row per moment, the strongest first."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from tempo.console import ACCENT, FAINT
    from tempo.formatting import clock_span, printable

    from .render import meter

    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column("moment", style=ACCENT, no_wrap=True)
    table.add_column("relevance", no_wrap=True)
    if any(clips):
        table.add_column("clip", overflow="fold")
    for moment, clip in zip(found, clips, strict=True):
        row = [
            Text(clock_span(moment.start, moment.end)),
            Text(f"{meter(moment.relevance)}  {moment.relevance:.2f}"),
        ]
        if clip is not None:
            remark = "" if clip.copied else "  re-encoded"
            row.append(Text.assemble(printable(str(clip.path)), (remark, FAINT)))
        table.add_row(*row)
    return table
