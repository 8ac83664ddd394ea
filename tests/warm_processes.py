"""Processes of their own that start at once: each is forked from one that has imported torch and tempo.

A new Python imports for two to seven seconds before it does what a test is about. What is forked here has
its own memory, arguments, environment, folder, streams and exit status, as a new one has; only imports are
done. Tests of imports themselves, of signals while starting, or of an installed command start real ones.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import types
from pathlib import Path
from typing import IO, Any

# What reads the environment when it is imported (transformers, the Hub's client) is not among them.
IMPORTED = (
    "av",
    "numpy",
    "PIL.Image",
    "torch",
    "torch._dynamo",
    "torch.distributed.fsdp",
    "tempo.cli.ask",
    "tempo.cli.main",
    "tempo.loader",
    "tempo.inference.engine",
    "tempo.networks",
)


class Started:
    """A process that was forked.

    Attributes:
        pid: its number.
    """

    def __init__(self, pid: int, status: IO[bytes], outputs: tuple[IO[bytes], IO[bytes]]) -> None:
        self.pid = pid
        self._status, self._outputs = status, outputs

    def wait(self, timeout: float = 500) -> subprocess.CompletedProcess[str]:
        """Its exit status and what it wrote, once it has ended.

        Raises:
            subprocess.TimeoutExpired: it had not by then, and is killed.
        """
        if not select.select([self._status], [], [], timeout)[0]:
            os.kill(self.pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired([str(self.pid)], timeout)
        with self._status:
            code = int(self._status.read())
        said = []
        for output in self._outputs:
            with output:
                output.seek(0)
                said.append(output.read().decode())
        return subprocess.CompletedProcess([], code, *said)


class WarmServer:
    """The process that others are forked from.

    Args:
        imported: the modules that it has imported.
    """

    def __init__(self, imported: tuple[str, ...] = IMPORTED) -> None:
        self._connection, theirs = socket.socketpair()
        # One thread, in this process and in those that are forked: only that of the fork goes on.
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno()), *imported],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        theirs.close()

    def close(self) -> None:
        """End it. What was forked goes on."""
        self._connection.close()
        self._process.wait(timeout=60)

    def start(
        self, *arguments: object, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> Started:
        """Begin `python ARGUMENTS`, which are -m and a module or -c and code, and what sys.argv has then."""
        request = {
            "arguments": [str(one) for one in arguments],
            "env": dict(os.environ) if env is None else env,
            "cwd": str(cwd or Path.cwd()),
        }
        outputs = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        read, write = os.pipe()
        with tempfile.TemporaryFile() as file, open(write, "wb"):
            file.write(json.dumps(request).encode())
            file.seek(0)
            socket.send_fds(
                self._connection, [b"!"], [file.fileno(), *(one.fileno() for one in outputs), write]
            )
            pid = int.from_bytes(self._connection.recv(8), "big")
        assert pid, "the process that others are forked from has ended"
        return Started(pid, open(read, "rb"), outputs)

    def run(self, *arguments: object, timeout: float = 500, **where: Any) -> subprocess.CompletedProcess[str]:
        """As `start`, and wait for the end."""
        return self.start(*arguments, **where).wait(timeout)


def _serve(connection: socket.socket) -> None:
    """Fork for each request and return in the new process, which has its streams; end with the requests."""
    statuses: dict[int, int] = {}
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([connection, reader], [], [])
        if reader in ready:
            os.read(reader, 4096)
            _report_ended(statuses)
        if connection not in ready:
            continue
        word, fds, _, _ = socket.recv_fds(connection, 1, 4)
        if not word:
            sys.exit()
        assert len(list(Path("/proc/self/task").glob("*"))) <= 1, "something imported has started a thread"
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for fd in (reader, writer, connection.detach(), *statuses.values()):
                os.close(fd)
            _become(*fds)
            return
        for fd in fds[:3]:
            os.close(fd)
        statuses[pid] = fds[3]
        connection.sendall(pid.to_bytes(8, "big"))


def _report_ended(statuses: dict[int, int]) -> None:
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            with open(statuses.pop(ended[0]), "wb") as status:
                status.write(str(os.waitstatus_to_exitcode(ended[1])).encode())


def _become(request: int, output: int, error: int, status: int) -> None:
    os.close(status)  # of the server alone: its end is not that of the process's own children
    os.dup2(output, 1)
    os.dup2(error, 2)
    with open(request, "rb") as file:
        found = json.load(file)
    for fd in (output, error):
        os.close(fd)
    os.environ.clear()
    os.environ.update(found["env"])
    os.chdir(found["cwd"])
    sys.argv = found["arguments"]


def _run(kind: str, target: str, *arguments: str) -> None:
    sys.argv = [kind, *arguments]
    if kind == "-m":
        runpy.run_module(target, run_name="__main__", alter_sys=True)
    else:
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        exec(compile(target, "<string>", "exec"), main.__dict__)


if __name__ == "__main__":
    fd, *modules = sys.argv[1:]
    sys.path[0] = ""  # as of -m and -c
    for module in modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # or every process copies all of it when it ends
    _serve(socket.socket(fileno=int(fd)))
    _run(*sys.argv)
