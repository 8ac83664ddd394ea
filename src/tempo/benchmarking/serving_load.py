"""Measures `tempo serve` under load: questions a second and time to first token (TTFT), by number of clients.

    python -m tempo.benchmarking.serving_load
    python -m tempo.benchmarking.serving_load --clients 1 4 16 --seconds 20 --hours 1 --json

It starts a server of the embedded model (or of --model), has some short videos watched, and lets clients ask
about them over HTTP as fast as they get answers: each number of clients in turn, several rounds of all of
them, so that other work on the machine meets them alike. Then it does the same, once for each number of
clients, while another client has an hour of video watched. It needs the extra `serve`; the clients share the
machine's processors with the server.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

from tempo.benchmarking.videos import repeated
from tempo.errors import TempoError
from tempo.synthetic.video_files import FileSpec, make_file

VIDEOS = 4  # short ones, that all clients ask about
_MODEL = "load"


@dataclass
class Load:
    """What clients got: seconds to the first token of each answer, how long all of it took, and how long
    the server's cores were busy with it."""

    clients: int
    seconds: float = 0.0
    core_seconds: float = 0.0
    first_tokens: list[float] = field(default_factory=list)

    def add(self, other: Load) -> None:
        """Count another round of as many clients in."""
        self.seconds += other.seconds
        self.core_seconds += other.core_seconds
        self.first_tokens += other.first_tokens

    @property
    def questions_per_second(self) -> float:
        return len(self.first_tokens) / self.seconds

    def quantile(self, share: float) -> float:
        """Seconds to first token that `share` of the answers kept to."""
        return sorted(self.first_tokens)[min(len(self.first_tokens) - 1, int(share * len(self.first_tokens)))]

    def row(self) -> dict[str, float]:
        """As it is printed."""
        return {
            "clients": self.clients,
            "answers": len(self.first_tokens),
            "questions_per_second": round(self.questions_per_second, 2),
            "ttft_median": round(statistics.median(self.first_tokens), 3),
            "ttft_p95": round(self.quantile(0.95), 3),
            "busy_cores": round(self.core_seconds / self.seconds, 2),
        }


class Client:
    """One client with a connection of its own, which asks one question after the other."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=600)

    def ask(self, video: Path, question: str, *, tokens: int) -> float:
        """Read a streamed answer to its end → seconds to its first text.

        Raises:
            TempoError: the server refuses it.
        """
        content = [
            {"type": "video_url", "video_url": {"url": f"file://{video}"}},
            {"type": "text", "text": question},
        ]
        body = {
            "model": _MODEL,
            "messages": [{"role": "user", "content": content}],
            "stream": True,
            "max_completion_tokens": tokens,
        }
        begun, first = time.perf_counter(), 0.0
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        response = self._connection.getresponse()
        if response.status != 200:
            raise TempoError(f"the server answers {response.status}: {response.read(2000).decode()}")
        for line in response:
            if b'"error"' in line:
                raise TempoError(f"the server sends an error: {line.decode()}")
            if not first and b'"delta"' in line and b'"content": ""' not in line:
                first = time.perf_counter() - begun
        return first or time.perf_counter() - begun


def under_load(
    url: str, questions: list[tuple[Path, str]], *, clients: int, tokens: int, going: Callable[[float], bool]
) -> Load:
    """Let so many clients ask while `going`, given the seconds since they began, says so; what has begun by
    then is finished."""
    turn = itertools.cycle(questions)
    lock, failed = threading.Lock(), threading.Event()
    load = Load(clients)
    begun, before = time.perf_counter(), _core_seconds(url)

    def client() -> None:
        mine = Client(url)
        try:
            while going(time.perf_counter() - begun) and not failed.is_set():
                with lock:
                    video, question = next(turn)
                first = mine.ask(video, question, tokens=tokens)
                with lock:
                    load.first_tokens.append(first)
        except BaseException:
            failed.set()
            raise

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.seconds, load.core_seconds = time.perf_counter() - begun, _core_seconds(url) - before
    if failed.is_set():
        raise TempoError("a client failed; its error is above")
    return load


def _core_seconds(url: str) -> float:
    with urlopen(f"{url}/metrics") as response:
        found = re.search(r"^process_cpu_seconds_total (\S+)", response.read().decode(), re.MULTILINE)
    return float(found[1]) if found else math.nan  # only Linux tells


@contextmanager
def server(folder: Path, model: str | None, options: list[str]) -> Iterator[str]:
    """A `tempo serve` of its own; its address."""
    command = [sys.executable, "-m", "tempo", "serve", "--port", "0", "--served-model-name", _MODEL]
    command += ["--allowed-local-media-path", str(folder), "--log-level", "warning", *options]
    environment = {name: value for name, value in os.environ.items() if name != "TEMPO_API_KEY"}
    process = subprocess.Popen(
        command + (["--model", model] if model else []), stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout is not None
        found = re.match(r"(http://\S+)/v1", process.stdout.readline())
        if found is None:
            raise TempoError("the server did not start; its error is above")
        yield found[1]
    finally:
        process.terminate()
        process.wait(timeout=60)


def short_videos(folder: Path, seconds: float) -> list[tuple[Path, str]]:
    """Videos of the synthetic world with questions, the same ones in turn."""
    found = []
    for number in range(VIDEOS):
        path = folder / f"load-{seconds:g}-{number}.mp4"
        if not path.is_file():
            make_file(path, FileSpec(seconds=seconds, height=120, fps=5), seed=f"load/{number}", questions=8)
        truth = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        found.append([(path, question["text"]) for question in truth["questions"]])
    return [one for together in zip(*found, strict=True) for one in together]


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Ask, count, and ask again beside an hour that is being watched."""
    questions = short_videos(folder, args.video_seconds)
    long = repeated(questions[0][0], folder, round(args.hours * 3600 / args.video_seconds))
    idle = {clients: Load(clients) for clients in args.clients}
    beside = {clients: Load(clients) for clients in args.clients}
    with server(folder, args.model, args.options) as url:
        for video, question in questions[:VIDEOS]:
            Client(url).ask(video, question, tokens=args.tokens)
        ask = partial(under_load, url, questions, tokens=args.tokens)
        for _ in range(args.rounds):
            for clients, load in idle.items():
                load.add(ask(clients=clients, going=lambda passed: passed < args.seconds / args.rounds))
        for number, clients in enumerate(args.clients):
            # Each time with another sampling, so that it is watched anew.
            watching = threading.Thread(target=_watch, args=(url, long, 1000 + number, args.tokens))
            beside[clients].add(_while_it_runs(watching, partial(ask, clients=clients)))
    most, least = idle[max(args.clients)], idle[min(args.clients)]
    return {
        "video_seconds": args.video_seconds,
        "answer_tokens": args.tokens,
        "idle": [load.row() for load in idle.values()],
        "beside_watching": [load.row() for load in beside.values()],
        "speedup": round(most.questions_per_second / least.questions_per_second, 2),
        "ttft_p95_ratio": {n: round(beside[n].quantile(0.95) / idle[n].quantile(0.95), 2) for n in idle},
    }


def _while_it_runs(thread: threading.Thread, ask: Callable[..., Load]) -> Load:
    thread.start()
    load = ask(going=lambda _: thread.is_alive())
    thread.join()
    return load


def _watch(url: str, video: Path, frames: int, tokens: int) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=3600)
    content = [
        {"type": "video_url", "video_url": {"url": f"file://{video}"}},
        {"type": "text", "text": "What is there?"},
    ]
    body = {
        "model": _MODEL,
        "messages": [{"role": "user", "content": content}],
        "max_completion_tokens": tokens,
        "tempo": {"max_frames": frames},
    }
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    connection.getresponse().read()


def main() -> None:
    """Measure and print a table, or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--seconds", type=float, default=40.0, help="of each number of clients")
    parser.add_argument("--rounds", type=int, default=4, help="that these seconds are spread over")
    parser.add_argument("--video-seconds", type=float, default=20.0, help="length of the short videos")
    parser.add_argument("--hours", type=float, default=1.0, help="length of the video that is watched beside")
    parser.add_argument("--tokens", type=int, default=32, help="longest answer")
    parser.add_argument("--model", help="model to serve (default: the embedded one)")
    parser.add_argument("--folder", type=Path, help="where the videos are kept (default: a temporary folder)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("options", nargs="*", help="more options of tempo serve, after --")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        result = measure(args, (args.folder or Path(temporary)).resolve())
    if args.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{'clients':>22}{'questions/s':>13}{'TTFT median':>13}{'p95':>8}{'busy cores':>12}")
    for beside, row in [
        *(("", row) for row in result["idle"]),
        *((", beside an hour", row) for row in result["beside_watching"]),
    ]:
        name = f"{row['clients']}{beside}"
        seconds = f"{row['ttft_median']:>11} s{row['ttft_p95']:>6} s"
        print(f"{name:>22}{row['questions_per_second']:>13}{seconds}{row['busy_cores']:>12}")
    print(f"questions a second, most clients ÷ fewest: {result['speedup']}")
    for clients, ratio in result["ttft_p95_ratio"].items():
        print(f"p95 of TTFT beside an hour ÷ without, {clients} at a time: {ratio}")


if __name__ == "__main__":
    main()
