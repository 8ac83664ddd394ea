"""Answer many questions about many videos, and go on where a run was stopped.

CASES is a JSON list, or JSONL with one object a line, of {"video_path": …, "query": …}. A case may have an
"id", which its result is known by (else it is its number), and "options" that go before those of the command
line: fps, max_frames, budget, adaptive, keep, max_new_tokens, temperature, top_p. Paths are taken from the
folder that the command runs in. Several questions about one video watch it once.

RESULTS gets one line a case as soon as it is done: id, video_path, query, settings, and either what
`tempo ask --json` prints or "error". Stopped in any way and started again, the command goes on with what is
missing. The exit status is 1 if any case failed, now or before.

Examples:
  tempo batch cases.json --output results.jsonl --model Vision-CAIR/Tempo-6B
  tempo batch cases.jsonl --output results.jsonl --model Vision-CAIR/Tempo-6B --budget 4096 --workers 2
  tempo batch films.jsonl --output results.jsonl --json    # of generated videos, with the embedded model
  tempo batch films.jsonl --output results.jsonl --retry-failed
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .options import (
    add_answer_options,
    add_model_options,
    add_watch_options,
    given,
    positive_integer,
)

if TYPE_CHECKING:
    from tempo.batch.cases import Case
    from tempo.batch.result_log import Results

LISTED = 20  # videos in the table, at most


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare CASES, the results, the workers and the shared options."""
    parser.add_argument("cases", metavar="CASES", type=Path, help="a JSON or JSONL file")
    parser.add_argument(
        "--output", metavar="RESULTS", type=Path, required=True, help="a JSONL file; made, or continued"
    )
    parser.add_argument(
        "--workers",
        type=positive_integer,
        default=1,
        metavar="N",
        help="processes that load the model and take one video at a time; with several GPUs, one each "
        "(default: 1)",
    )
    parser.add_argument("--retry-failed", action="store_true", help="ask the cases again that failed before")
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    add_model_options(parser)
    add_watch_options(parser)
    add_answer_options(parser)


def run(args: argparse.Namespace) -> int:
    """Answer what is not answered yet, then sum up."""
    from tempo.batch.cases import read_cases
    from tempo.batch.result_log import Results, done
    from tempo.console import Output, say
    from tempo.errors import TempoError

    from .answer_report import print_json
    from .model_loading import ANSWER_OPTIONS, WATCH_OPTIONS, remark_on_watching

    began = time.monotonic()
    settings = {"model": args.model, **given(args, *WATCH_OPTIONS, *ANSWER_OPTIONS)}
    cases = read_cases(args.cases, settings)
    remark_on_watching(args)
    if args.output.exists() and args.output.samefile(args.cases):
        raise TempoError(f"{args.output}: these are the cases; name another file as --output")
    results = Results(args.output)
    try:
        if args.retry_failed:
            results.forget_failures()
        found = done(cases, results.records, args.output)
        before = len(found)
        try:
            _answer(args, [case for case in cases if case.number not in found], results)
        except KeyboardInterrupt:
            results.read()  # a record may have been written and not been noted
            count = len(done(cases, results.records, args.output))
            say(f"stopped; {count} of {len(cases)} cases are done, and the same command goes on from there")
            return 130
        found = done(cases, results.records, args.output)
    finally:
        results.close()
    kept = [found[case.number] for case in cases]
    warnings = list(dict.fromkeys(line for record in kept for line in record.get("warnings", ())))
    failed = sum("error" in record for record in kept)
    if args.json:
        summary = {
            "cases": len(cases),
            "answered": len(kept) - failed,
            "failed": failed,
            "done_before": before,
            "seconds": time.monotonic() - began,
            "output": str(args.output),
            "warnings": warnings,
        }
        print_json(summary)
    else:
        Output().print(_table(kept, before, time.monotonic() - began))
    return 1 if failed else 0


def _answer(args: argparse.Namespace, cases: Sequence[Case], results: Results) -> None:
    """Ask CASES, and write and tell what comes of each."""
    from tempo.batch.cases import group
    from tempo.batch.pool import answers
    from tempo.batch.worker import Work
    from tempo.console import counting, say

    from .model_loading import MODEL_OPTIONS

    senseless = [case for case in cases if case.error]
    groups = group(case for case in cases if not case.error)
    work = Work(args.model, given(args, *MODEL_OPTIONS), args.cache, args.workers)
    done = len(senseless)
    warned: set[str] = set()
    with counting("answering", "cases") as progress:
        progress(done, len(cases))
        for case in senseless:
            _note(case, case.failed(case.error), results)
        coming = answers(groups, work)
        try:
            for case, record in coming:
                _note(case, record, results)
                for warning in record.get("warnings", ()):  # one of the model, whatever the case
                    if warning not in warned:
                        warned.add(warning)
                        say(warning)
                done += 1
                progress(done, len(cases))
        finally:
            coming.close()  # type: ignore[attr-defined]


def _note(case: Case, record: dict[str, Any], results: Results) -> None:
    from tempo.console import say

    results.append(record)
    if "error" in record:
        name = f"case {case.id!r}" if case.named else f"case {case.number}"
        say(f"{name}: {record['error']}")


def _table(records: Sequence[dict[str, Any]], before: int, seconds: float) -> Any:
    """What became of the cases, a row a video and one for all of them."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from tempo.formatting import printable

    videos: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        videos.setdefault(record["video_path"] or "(no video)", []).append(record)
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, show_edge=False)
    rows = [(name, *_counts(members)) for name, members in videos.items()]
    total = _counts(records)
    table.add_column("video", f"{len(videos)} in all", overflow="fold")
    for name, figure in zip(("cases", "answered", "failed", "tokens", "seconds"), total, strict=True):
        table.add_column(name, figure, justify="right")
    for row in rows[:LISTED]:
        table.add_row(*(Text(printable(cell)) for cell in row))
    if len(rows) > LISTED:
        table.add_row(Text(f"and {len(rows) - LISTED} more", style="dim"))
    table.caption = f"{len(records) - before} cases in {seconds:.1f} s" + (
        f", {before} before" if before else ""
    )
    table.caption_justify = "left"
    return table


def _counts(records: Sequence[dict[str, Any]]) -> tuple[str, str, str, str, str]:
    """Cases, answered, failed, tokens read and seconds taken, as texts."""
    answered = [record for record in records if "error" not in record]
    tokens = sum(record["visual_tokens"] for record in answered)
    seconds = sum(record["timings"]["total"] for record in answered)
    counts = (len(records), len(answered), len(records) - len(answered), tokens)
    return (*map(str, counts), f"{seconds:.1f}")  # type: ignore[return-value]
