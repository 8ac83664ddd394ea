"""Run lmms-eval in its environment, follow its progress, and extract the reason if it fails."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tempo.errors import TempoError

from .environment import Environment
from .item_log import count_records, read_records
from .settings import Settings

LOG = "lmms-eval.log"
RESULTS = "lmms-eval"
POLL = 0.2  # seconds
GRACE = 10.0  # seconds for a process to exit by itself


@dataclass(frozen=True, kw_only=True)
class Job:
    """One call of lmms-eval.

    Attributes:
        tasks: names of lmms-eval tasks, those in `include` too.
        include: a folder with additional tasks that read local files.
        limit: most items of each task.
        seed: random seed.
        processes: processes that share the items.
        max_errors: failed items before the run aborts.
        offline: whether to forbid downloads.
    """

    folder: Path
    tasks: list[str]
    settings: Settings
    include: Path | None = None
    limit: int | None = None
    seed: int = 0
    processes: int = 1
    max_errors: int = 0
    offline: bool = False

    def command(self, python: str) -> list[str]:
        """The command line."""
        start = [python, "-m"]
        if self.processes > 1:
            # As `accelerate launch` does, which starts several processes on GPUs only.
            start += ["torch.distributed.run", "--standalone", "--nproc_per_node", str(self.processes), "-m"]
        folder = str(self.folder.resolve())
        arguments = f"{self.settings.to_arguments()},run={folder},max_errors={self.max_errors}"
        call = ["lmms_eval", "--model", "tempo", "--model_args", arguments]
        call += ["--tasks", ",".join(self.tasks), "--batch_size", "1", "--seed", str(self.seed)]
        call += ["--output_path", str(Path(folder) / RESULTS), "--log_samples"]
        if self.include is not None:
            call += ["--include_path", str(self.include.resolve())]
        if self.limit is not None:
            call += ["--limit", str(self.limit)]
        return start + call

    def environment_variables(self) -> dict[str, str]:
        """The environment variables."""
        values = dict(os.environ, TOKENIZERS_PARALLELISM="false", PYTHONUNBUFFERED="1")
        if self.processes > 1 and self.settings.device == "cpu":
            values["ACCELERATE_USE_CPU"] = "true"
        if self.include is not None:
            # A cache of local files serves this run only.
            values["HF_DATASETS_CACHE"] = str(self.folder.resolve() / "tasks" / "cache")
        if self.offline:
            values.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
        return values


def run(job: Job, environment: Environment, *, progress: Callable[[int], None] = lambda done: None) -> None:
    """Run a job to its end.

    Args:
        progress: called repeatedly with the number of items answered.

    Raises:
        TempoError: lmms-eval produced no result; the message says why.
    """
    if "," in str(job.folder.resolve()):
        raise TempoError(f"{job.folder}: lmms-eval does not accept commas in this path; choose another --out")
    before = results_of(job.folder)
    done_before = count_records(job.folder)
    log = job.folder / LOG
    with log.open("ab") as output:
        output.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())
        output.flush()
        start = output.tell()
        process = subprocess.Popen(
            job.command(environment.python),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=job.environment_variables(),
            start_new_session=True,  # so that we can end it with its children, and Ctrl-C does not
        )
        try:
            while process.poll() is None:
                time.sleep(POLL)
                progress(count_records(job.folder) - done_before)
        finally:
            _end(process)
    if results_of(job.folder) == before:  # lmms-eval's own exit status is 0 all the same
        raise TempoError(f"{_reason(log, start)}; see {log}, then run the same command again to resume")


def results_of(folder: Path) -> list[Path]:
    """lmms-eval's result files in a run's folder, oldest first."""
    return sorted((folder / RESULTS).rglob("*_results.json"))


def failed_items(folder: Path) -> list[str]:
    """The errors of the items without an answer."""
    return [record.error for record in read_records(folder).values() if record.error is not None]


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    if not hasattr(os, "killpg"):  # Windows has no groups of processes
        process.kill()
        process.wait()
        return
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(GRACE)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _reason(log: Path, start: int) -> str:
    """The last error message in the log from byte START on."""
    text = log.read_bytes()[start:].decode(errors="replace")
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    errors = re.findall(r"^(?:[A-Za-z_]+\.)*([A-Za-z_]*(?:Error|Errors|Exit)): (.+)$", text, re.MULTILINE)
    if errors:
        name, words = errors[-1]
        return words if name in ("TempoError", "UsageError", "TooManyErrors") else f"{name}: {words}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"lmms-eval ended without a result ({lines[-1][:200] if lines else 'no output'})"
