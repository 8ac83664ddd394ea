"""Whether a page's memory stays flat while visitors come and go. Run by hand; Linux.

    python tests/soak.py                            # six visitors, half an hour
    python tests/soak.py --minutes 3 --visitors 2

It serves a page in a process of its own and visits it over HTTP as the browser's page does: each visitor
arrives, opens a film, looks at frames, asks, shares the tokens out anew and leaves, again and again. The
server's memory is printed as it goes. Status 1: the last third took over a tenth more than the one before.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import clips
from ui_client import Client

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
    visit(server.url, films[-1])
    print(f"one visitor came and left: {server.settled()} MB", flush=True)
    ended, counts, readings = threading.Event(), [0] * visitors, []
    failures: list[BaseException] = []

    def come_and_go(number: int) -> None:
        try:
            while not ended.is_set():
                visit(server.url, films[counts[number] % len(films)])
                counts[number] += 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=come_and_go, args=(number,)) for number in range(visitors)]
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
        command = [sys.executable, "-W", "ignore", "-m", "tempo", "ui", "--library", str(films)]
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


def visit(url: str, film: Path) -> None:
    """Arrive, open a film, look at it, ask, share the tokens out anew, and leave."""
    with Client(url) as client:
        video = client.open(library=f"{film.parent.name}/{film.name}")["video"]
        for second in range(0, 20, 4):
            client.get(f"videos/{video['id']}/frames/{second * 1000}.jpg")
        client.get(f"videos/{video['id']}/file")
        for question in QUESTIONS:
            turn = client.ask(video, question, budget=60, max_new_tokens=16)
        client.get(f"videos/{video['id']}/export/png")
        client.answer(video, turn["number"], budget=30, adaptive=False)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
