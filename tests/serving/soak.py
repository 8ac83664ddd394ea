"""Many clients at once with everything that goes wrong, for as long as you like. Linux.

    python -m tests.serving.soak --minutes 5

Eight clients ask about several videos under a cache on disk that is too small for them all, leave in
mid-stream, and send files that are no videos. Status 1: an error came that nobody asked for, memory grew by
over a tenth in the second half, or more is on the disk in the end than what may be kept there.
"""

import argparse
import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
import openai

from tempo.synthetic.video_files import FileSpec, make_file

from .conftest import KEY, Served

CLIENTS = 8
CACHE_BYTES = 2_000_000  # room for about two of the videos


def body(video, question, **more):
    part = {"type": "video_url", "video_url": {"url": video}}
    messages = [{"role": "user", "content": [part, {"type": "text", "text": question}]}]
    return {"model": "nano", "messages": messages, "max_completion_tokens": 16, **more}


class Soak:
    """Clients of a server, and what went wrong with them.

    Attributes:
        errors: those that no client asked for.
        counts: of what was done, by its name.
    """

    def __init__(self, server, videos, seed):
        self.server, self.videos = server, videos
        self.errors, self.counts = [], {}
        self._seed, self._lock = seed, threading.Lock()

    def run(self, seconds):
        """Let all clients work for so long → the server's memory in MB, every second."""
        end, memory = time.monotonic() + seconds, []
        threads = [threading.Thread(target=self._client, args=(n, end)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            memory.append(self.megabytes())
            time.sleep(min(1.0, seconds / 20))
        return memory

    def megabytes(self):
        text = Path(f"/proc/{self.server.process.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) / 1000

    def _client(self, number, end):
        dice, client = random.Random(f"{self._seed}/{number}"), self.server.client()
        kinds = (self._ask, self._ask, self._leave, self._send_rubbish, self._send_and_remove)
        while time.monotonic() < end:
            kind = dice.choice(kinds)
            try:
                kind(client, dice)
            except Exception as error:
                self.errors.append(f"{kind.__name__}: {type(error).__name__}: {error}")
            with self._lock:
                self.counts[kind.__name__] = self.counts.get(kind.__name__, 0) + 1

    def _ask(self, client, dice):
        own = {"tempo": {"fps": dice.choice([1, 2])}}
        told = client.chat.completions.create(
            **body(f"file://{dice.choice(self.videos)}", "What is there?"), extra_body=own
        )
        assert told.choices[0].message.content

    def _leave(self, client, dice):
        headers = {"Authorization": f"Bearer {KEY}"}
        sent = body(f"file://{dice.choice(self.videos)}", "Summarise the video.", stream=True)
        url = f"{self.server.url}/v1/chat/completions"
        with httpx.stream("POST", url, json=sent, headers=headers, timeout=120) as response:
            assert response.status_code == 200, response.read()
            next(response.iter_lines())

    def _send_rubbish(self, client, dice):
        try:
            client.chat.completions.create(**body("data:video/mp4;base64,AAAA" + "QUJD" * 50, "What?"))
        except openai.UnprocessableEntityError:
            return
        raise AssertionError("rubbish was taken for a video")

    def _send_and_remove(self, client, dice):
        sent = client.files.create(file=dice.choice(self.videos), purpose="user_data")
        part = {"type": "file", "file": {"file_id": sent.id}}
        messages = [{"role": "user", "content": [part, {"type": "text", "text": "Is there a star?"}]}]
        client.chat.completions.create(model="nano", messages=messages, max_completion_tokens=8)
        client.files.delete(sent.id)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ |= {"TMPDIR": temporary, "TEMPO_CACHE": str(folder / "kept")}
        videos = make_videos(folder)
        server = Served(*options(folder))
        try:
            soak = Soak(server, videos, seed="soak")
            memory = soak.run(60 * args.minutes)
            soak.errors += unaccounted(folder)
        finally:
            status = server.close()
        soak.errors += [f"left behind: {path}" for path in folder.glob("tempo-serve-*")]
    half, end = max(memory[: len(memory) // 2]), max(memory[len(memory) // 2 :])
    print(f"{soak.counts}; memory {half:.0f} MB, then {end:.0f} MB; exit status {status}")
    print("\n".join(soak.errors) or "no errors")
    return int(bool(soak.errors) or end > 1.1 * half or status != 0)


def unaccounted(folder):
    """What is on the disk and should not be: files of the server, and a cache beyond its limit."""
    (own,) = folder.glob("tempo-serve-*")
    names = [path.name for path in own.iterdir()]
    rubbish = [name for name in names if name.startswith("sent-")]  # which comes again and again
    found = [f"in the server's folder: {name}" for name in names if name not in (".lock", *rubbish[:1])]
    kept = [path for path in (folder / "kept").rglob("*") if path.is_file()]
    if (size := sum(path.stat().st_size for path in kept)) > CACHE_BYTES:
        found.append(f"the cache has {size} bytes, and may have {CACHE_BYTES}")
    return found


def make_videos(folder, seconds=(4, 8, 12, 16)):
    for number, length in enumerate(seconds):
        spec = FileSpec(seconds=length, height=120, fps=5)
        make_file(folder / f"{number}.mp4", spec, seed=f"soak/{number}", questions=1)
    return sorted(folder.glob("*.mp4"))


def options(folder):
    """Of a server that keeps what it watched on a disk without room for it all."""
    return (
        *("--served-model-name", "nano", "--allowed-local-media-path", str(folder)),
        *("--cache", "disk", "--cache-gb", str(CACHE_BYTES / 1e9), "--log-level", "warning"),
    )


if __name__ == "__main__":
    sys.exit(main())
