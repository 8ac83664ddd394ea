"""A server in a process of its own, and real clients of it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tempo.synthetic.video_files import FileSpec, make_file

KEY = "a-key-of-the-tests"


class Served:
    """A running `tempo serve`."""

    def __init__(self, *options: str, key: str | None = KEY) -> None:
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "tempo",
            "serve",
            "--port",
            "0",
            "--dtype",
            "float32",
        ]
        environment = {name: value for name, value in os.environ.items() if name != "TEMPO_API_KEY"}
        environment |= {"TEMPO_API_KEY": key} if key else {}
        self.process = subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.match(r"(http://\S+)/v1", line)
        if not found:
            self.process.kill()
            raise AssertionError(self.process.communicate()[1])
        self.url = found[1]

    def client(self, **options: object) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", max_retries=0, **{"api_key": KEY, **options})

    def close(self) -> int:
        self.process.terminate()
        self.process.communicate(timeout=60)
        return self.process.returncode


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two synthetic videos, with their truth."""
    folder = tmp_path_factory.mktemp("served")
    for number in range(2):
        spec = FileSpec(seconds=20, height=120, fps=5)
        make_file(folder / f"{number}.mp4", spec, seed=f"served/{number}", questions=6)
    return folder


@pytest.fixture(scope="package")
def served(folder: Path) -> Iterator[Served]:
    server = Served("--allowed-local-media-path", str(folder), "--served-model-name", "nano")
    yield server
    server.close()


@pytest.fixture
def client(served: Served) -> openai.OpenAI:
    return served.client()
