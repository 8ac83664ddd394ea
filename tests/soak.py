"""Whether a page's memory stays flat while visitors come and go. Run by hand; Linux.

    python tests/soak.py                            # six visitors, half an hour
    python tests/soak.py --minutes 3 --visitors 2

It serves a page in a process of its own and visits it over HTTP as the browser's page does: each visitor
arrives, opens a film, looks at frames, asks, shares the tokens out anew and leaves, again and again. The
server's memory is printed as it goes. Status 1: the last third took over a tenth more than the one before.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx

import clips

GROWTH = 1.1
QUESTIONS = ("What is there?", "Which way does it move?", "When is the red circle on screen?")


def main() -> int:
    """Serve, visit, tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--visitors", type=int, default=6)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        films = [Path(folder) / f"{seconds} s.mp4" for seconds in (20, 60)]
        for film in films:
            count = int(film.stem.split()[0]) * 8
            clips.write(film, count=count, rate=8, size=(320, 180), options={"g": "8"})
        server = _Server(Path(folder))
        try:
            return soak(server, films, minutes=args.minutes, visitors=args.visitors)
        finally:
            server.close()


def soak(server: _Server, films: list[Path], *, minutes: float, visitors: int) -> int:
    """Visit for so many minutes; the exit status."""
    print(f"started: {server.megabytes()} MB", flush=True)
    Visitor(server.url).come(films[-1])
    print(f"one visitor came and left: {server.settled()} MB", flush=True)
    ended, counts, readings = threading.Event(), [0] * visitors, []
    failures: list[BaseException] = []

    def visit(number: int) -> None:
        try:
            while not ended.is_set():
                Visitor(server.url).come(films[counts[number] % len(films)])
                counts[number] += 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(visitors)]
    for thread in threads:
        thread.start()
    begun = time.monotonic()
    while (elapsed := time.monotonic() - begun) < 60 * minutes and not failures:
        time.sleep(1)
        readings.append(server.megabytes())
        if len(readings) % 30 == 0:
            print(f"{elapsed:5.0f} s, {sum(counts)} visits: {readings[-1]} MB", flush=True)
    ended.set()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    left = server.settled()
    third = len(readings) // 3  # of which the first is for warming up
    first, second = statistics.median(readings[third : 2 * third]), statistics.median(readings[2 * third :])
    print(f"{sum(counts)} visits; second third {first:.0f} MB, last {second:.0f} MB; all left: {left} MB")
    return int(second > GROWTH * first)


class _Server:
    """`tempo ui` in a process of its own."""

    def __init__(self, films: Path) -> None:
        command = [sys.executable, "-W", "ignore", "-m", "tempo", "ui", str(films)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().split()[0]

    def megabytes(self) -> int:
        """What it has in memory now."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) // 1024

    def settled(self) -> int:
        """What it has once nobody is there: leaving takes it a moment."""
        time.sleep(5)
        return self.megabytes()

    def close(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(60)


class Visitor:
    """A page in a browser, as far as the server can tell."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=600)
        self._session = secrets.token_hex(6)
        config = self._http.get("config").json()
        names = {part["id"]: part["props"].get("elem_id") for part in config["components"]}
        self._events: dict[tuple[str | None, str], dict[str, Any]] = {
            (names.get(part), event): dependency
            for dependency in config["dependencies"]
            for part, event in dependency["targets"]
        }

    def come(self, film: Path) -> None:
        """Arrive, open a film, look at it, ask, and leave."""
        here = threading.Event()
        heart = threading.Thread(target=self._stay, args=(here,))
        heart.start()
        try:
            self._do((None, "load"))
            shown = self._do(("tempo-open-path", "click"), None, str(film), None, None)
            found = re.search(r"tempo/clients/[\w-]+", shown)
            assert found, shown
            files = found[0]
            for second in range(0, 20, 4):
                self._http.get(f"{files}/frames/{second * 1000}.jpg").raise_for_status()
            self._http.get(f"{files}/video").raise_for_status()
            for question in QUESTIONS:
                said = self._do(("tempo-ask", "click"), None, question, 60, "adaptive", True, 16, 0, 1)
                assert question in said, said
            self._http.get(f"{files}/tempo.png").raise_for_status()
            self._do(("tempo-mode", "input"), None, 30, "uniform", True)
        finally:
            here.set()
            heart.join()
            self._http.close()

    def _do(self, event: tuple[str | None, str], *fields: Any) -> str:
        """Fire an event and return all that the server says, as text."""
        number = self._events[event]["id"]
        wanted = {"data": fields, "fn_index": number, "session_hash": self._session}
        self._http.post("gradio_api/queue/join", json=wanted).raise_for_status()
        said = []
        with self._http.stream(
            "GET", "gradio_api/queue/data", params={"session_hash": self._session}
        ) as lines:
            for line in lines.iter_lines():
                message = json.loads(line.removeprefix("data: ")) if line else {}
                said.append(line)
                if message.get("msg") == "process_completed":
                    assert message["success"], message
                elif message.get("msg") == "close_stream":
                    break
        return "\n".join(said)

    def _stay(self, left: threading.Event) -> None:
        """The connection by which the server knows that the page is still open."""
        with httpx.Client(timeout=None) as http:
            address = f"{self._http.base_url}gradio_api/heartbeat/{self._session}"
            with http.stream("GET", address) as alive:
                beats = alive.iter_lines()  # dropping it would end the connection
                next(beats)
                left.wait()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
