"""Answer many questions about many videos; resume after an interruption.

CASES is a JSON list, or JSONL with one object per line, of {"video_path": …, "query": …}. A case may have an
"id" that identifies its result (default: its number), and "options" that override the command line: fps,
max_frames, budget, adaptive, keep, max_new_tokens, temperature, top_p. Relative paths start at the current
folder. Several questions about one video watch it once.

The command appends one line to RESULTS as soon as a case is done: id, video_path, query, settings, and either
the output of `tempo ask --json` or "error". After an interruption, run the same command again: it answers
only what is missing. The exit status is 1 if any case failed, in this run or an earlier one.

Several workers watch one video each, the largest files first. A file that is larger than a fair share of all
files is watched by several workers at once.

With --ray the workers are those of a Ray cluster (pip install 'tempo-video[ray]'). Videos and model must be
visible to its machines under the same paths or addresses.

Examples:
  tempo batch cases.json --output results.jsonl --model Vision-CAIR/Tempo-6B
  tempo batch cases.jsonl --output results.jsonl --model Vision-CAIR/Tempo-6B --budget 4096 --workers 2
  tempo batch films.jsonl --output results.jsonl --json    # synthetic videos, with the embedded model
  tempo batch films.jsonl --output results.jsonl --retry-failed
  tempo batch cases.jsonl --output results.jsonl --model /shared/Tempo-6B --ray 10.0.0.1:6379 --workers 16
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .options import (
    add_answer_options,
    add_cluster_workers,
    add_model_options,
    add_watch_options,
    given,
    positive_integer,
)

if TYPE_CHECKING:
    from tempo.batch.cases import Case
    from tempo.batch.parted_results import PartedResults
    from tempo.batch.pool import Pool
    from tempo.batch.result_log import Results
    from tempo.video.sampling_options import DecodeWorkers

    AnyResults = Results | PartedResults

MAX_LISTED = 20  # videos in the table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("cases", metavar="CASES", type=Path, help="a JSON or JSONL file")
    parser.add_argument(
        "--output",
        metavar="RESULTS",
        required=True,
        help="a JSONL file to create or continue, here or in an object store (s3://…); or a Parquet file",
    )
    parser.add_argument(
        "--workers",
        type=positive_integer,
        metavar="N",
        help="processes, each with its own copy of the model; they spread over the GPUs (default: 1; with "
        "--ray: as many as the cluster has room for)",
    )
    parser.add_argument(
        "--retry-failed", action="store_true", help="answer again the cases that failed before"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    add_cluster_workers(parser)
    add_model_options(parser, several_devices=True)
    add_watch_options(parser)
    add_answer_options(parser)


def run(args: argparse.Namespace) -> int:
    """Answer the cases that have no result yet, then print a summary."""
    from tempo.batch.cases import read_cases
    from tempo.batch.parted_results import PartedResults, is_parted
    from tempo.batch.result_log import Results, completed
    from tempo.console import Output, say
    from tempo.errors import TempoError
    from tempo.storage.object_stores import without_password

    from .answer_report import print_json
    from .model_loading import ANSWER_OPTIONS, WATCH_OPTIONS, warn_about_one_frame

    began = time.monotonic()
    settings = {"model": args.model, **given(args, *WATCH_OPTIONS, *ANSWER_OPTIONS)}
    cases = read_cases(args.cases, settings)
    warn_about_one_frame(args)
    output, shown = Path(args.output), without_password(args.output)
    if output.exists() and output.samefile(args.cases):
        raise TempoError(f"{output}: this is the file of cases; choose another --output")
    results = PartedResults(args.output) if is_parted(args.output) else Results(output)
    try:
        if args.retry_failed:
            results.remove_failures()
        found = completed(cases, results.records, shown)
        before = len(found)
        try:
            lost = _answer(args, [case for case in cases if case.number not in found], results)
        except KeyboardInterrupt:
            results.read()  # the last record may have been written but not counted
            count = len(completed(cases, results.records, shown))
            say(f"stopped; {count} of {len(cases)} cases are done; run the same command again to resume")
            return 130
        found = completed(cases, results.records, shown)
    finally:
        results.close()
    records = [found[case.number] for case in cases]
    warnings = list(dict.fromkeys(line for record in records for line in record.get("warnings", ())))
    failed = sum("error" in record for record in records)
    if args.json:
        summary = {
            "cases": len(cases),
            "answered": len(records) - failed,
            "failed": failed,
            "done_before": before,
            "seconds": time.monotonic() - began,
            "output": shown,
            "warnings": warnings,
        }
        print_json(summary)
    else:
        Output().print(_table(records, before, time.monotonic() - began))
    return 1 if failed or lost else 0


def _answer(args: argparse.Namespace, cases: Sequence[Case], results: AnyResults) -> int:
    """Answer CASES, append each result to RESULTS, and report errors and progress.

    Returns how many workers could not load the model.
    """
    from tempo.batch.cases import group
    from tempo.batch.pool import run_groups
    from tempo.console import progress_bar, say

    invalid = [case for case in cases if case.error]
    groups = group(case for case in cases if not case.error)
    done, lost = len(invalid), 0
    warned: set[str] = set()

    def lose(line: str) -> None:
        nonlocal lost
        lost += 1
        say(line)

    with _pool(args, say) as (pool, workers), progress_bar("answering", "cases") as progress:
        progress(done, len(cases))
        for case in invalid:
            _record_result(case, case.failure(case.error), results)
        coming = run_groups(groups, pool, workers, warn=lose)
        try:
            for case, record in coming:
                _record_result(case, record, results)
                for warning in record.get("warnings", ()):  # about the model or the video, not the case
                    if warning not in warned:
                        warned.add(warning)
                        say(warning)
                done += 1
                progress(done, len(cases))
        finally:
            coming.close()  # type: ignore[attr-defined]
    return lost


@contextlib.contextmanager
def _pool(args: argparse.Namespace, warn: Callable[[str], None]) -> Iterator[tuple[Pool, int]]:
    """Where the workers run, and how many there are at most."""
    from tempo.batch.worker import WorkerConfig

    from .model_loading import MODEL_OPTIONS

    # Several workers keep the cores busy with a decoder each.
    alone = args.ray is None and args.workers in (None, 1)
    decode_workers: DecodeWorkers = args.decode_workers or ("auto" if alone else 1)
    config = WorkerConfig(
        args.model, given(args, *MODEL_OPTIONS), args.cache, args.workers or 1, decode_workers
    )
    if args.ray is None:
        from tempo.batch.processes import Processes

        yield Processes(config), config.workers
        return
    from tempo.batch.ray_workers import RayActors
    from tempo.distributed.ray_cluster import WorkerResources, connected

    with connected(args.ray) as ray:
        resources = WorkerResources(args.cpus_per_worker or 1, args.gpus_per_worker)
        pool = RayActors(ray, replace(config, workers=1), resources, warn)
        yield pool, args.workers or max(1, pool.room)


def _record_result(case: Case, record: dict[str, Any], results: AnyResults) -> None:
    from tempo.console import say

    results.append(record)
    if "error" in record:
        name = f"case {case.id!r}" if case.named else f"case {case.number}"
        if "worker" in record:
            name += f", on {record['worker']}"
        say(f"{name}: {record['error']}")


def _table(records: Sequence[dict[str, Any]], before: int, seconds: float) -> Any:
    """The outcome of the cases: one row per video, and one for all of them."""
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
    table.add_column("video", f"{len(videos)} in total", overflow="fold")
    for name, figure in zip(("cases", "answered", "failed", "tokens", "seconds"), total, strict=True):
        table.add_column(name, figure, justify="right")
    for row in rows[:MAX_LISTED]:
        table.add_row(*(Text(printable(cell)) for cell in row))
    if len(rows) > MAX_LISTED:
        table.add_row(Text(f"and {len(rows) - MAX_LISTED} more", style="dim"))
    table.caption = f"{len(records) - before} cases in {seconds:.1f} s" + (
        f", {before} in earlier runs" if before else ""
    )
    table.caption_justify = "left"
    return table


def _counts(records: Sequence[dict[str, Any]]) -> tuple[str, str, str, str, str]:
    """Cases, answered, failed, tokens read and seconds, as texts."""
    answered = [record for record in records if "error" not in record]
    tokens = sum(record["visual_tokens"] for record in answered)
    seconds = sum(record["timings"]["total"] for record in answered)
    counts = (len(records), len(answered), len(records) - len(answered), tokens)
    return (*map(str, counts), f"{seconds:.1f}")  # type: ignore[return-value]
