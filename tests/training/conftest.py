"""Training in processes of their own."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from reference_cases import REFERENCE
from warm_processes import IMPORTED, WarmServer

TRAINING = (*IMPORTED, "tempo.cli.train", "tempo.training.trainer")


@pytest.fixture(scope="session")
def warm_training() -> Iterator[WarmServer]:
    """As `warm`, with what training imports."""
    server = WarmServer(TRAINING)
    yield server
    server.close()


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny reference model, for frames of 64 × 64 as they are: it would enlarge them thirtyfold."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("tempo-tiny", "qwen3-vl-tiny"):
        shutil.copytree(REFERENCE / name, folder / name)
    config = folder / "tempo-tiny" / "config.json"
    values = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps(values | {"geometry": {"min_pixels": 64 * 64}}), encoding="utf-8")
    return config.parent


@pytest.fixture
def two_processes(warm_training: WarmServer) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Call Python in two processes, as torchrun does → what both said, and a status of 0 if both have it."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
        both = [
            warm_training.start(
                *arguments,
                env={**os.environ, **address, "WORLD_SIZE": "2", "RANK": rank, "LOCAL_RANK": rank},
            )
            for rank in "01"
        ]
        done = [one.wait() for one in both]
        status = next((one.returncode for one in done if one.returncode), 0)
        output, said = ("".join(getattr(one, name) for one in done) for name in ("stdout", "stderr"))
        return subprocess.CompletedProcess([], status, output, said)

    return run
