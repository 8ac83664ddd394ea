"""Serve a page in the browser for asking questions about videos.

The page plays the video, and a film strip shows how relevant each moment is to the question and how many
tokens it gets; moving the budget does not watch the video again. Users upload videos or open what you offer:
a VIDEO, which the page opens at once, and everything below the folders of --library. Only this machine can
reach the page unless you set --host. With --server a running `tempo serve` watches and answers, and this
machine needs no GPU.

Examples:
  tempo ui
  tempo ui holiday.mp4
  tempo ui --library films --port 8080 --open
  tempo ui holiday.mp4 --model Vision-CAIR/Tempo-6B --device cuda
  tempo ui holiday.mp4 --server http://gpu-machine:8000   # that server watches and answers
  tempo ui --host 0.0.0.0 --library films --max-upload 500 --max-videos 20
"""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from types import FrameType

from .options import (
    add_decoding_options,
    add_model_options,
    add_server_option,
    given,
    positive_integer,
    positive_number,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "videos",
        metavar="VIDEO",
        nargs="*",
        type=Path,
        help="a video that users may open; the first opens at once",
    )
    parser.add_argument(
        "--library",
        metavar="DIR",
        nargs="+",
        default=[],
        type=Path,
        help="folders whose videos users may open, found by name",
    )
    add_server_option(parser)
    add_model_options(parser, several_devices=True)
    watching = parser.add_argument_group("watching")
    watching.add_argument(
        "--fps",
        type=positive_number,
        metavar="F",
        help="frames to watch per second (default: the model's own)",
    )
    watching.add_argument(
        "--max-frames",
        type=positive_integer,
        metavar="N",
        help="most frames to watch of a video, whatever the page asks for (default: the model's own)",
    )
    add_decoding_options(watching)
    watching.add_argument(
        "--cache",
        choices=("auto", "device", "host", "disk"),
        default="auto",
        metavar="C",
        help="where to cache watched videos: device, host or disk (default: auto, the first with room)",
    )
    server = parser.add_argument_group("server")
    server.add_argument(
        "--host", default="127.0.0.1", metavar="H", help="address to listen on (default: 127.0.0.1)"
    )
    server.add_argument(
        "--port", type=_port, metavar="P", help="port to listen on (default: the first free one from 7860)"
    )
    server.add_argument(
        "--max-upload",
        type=positive_integer,
        default=2000,
        metavar="MB",
        help="largest upload (default: 2000)",
    )
    server.add_argument(
        "--max-videos",
        type=positive_integer,
        default=8,
        metavar="N",
        help="most watched videos to cache; one more evicts the least recently used one (default: 8)",
    )
    server.add_argument(
        "--max-queue",
        type=positive_integer,
        default=16,
        metavar="N",
        help="requests that may run or wait; refuse more (default: 16)",
    )
    server.add_argument("--open", action="store_true", help="open the page in this machine's browser")


def run(args: argparse.Namespace) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    from tempo.console import progress_bar
    from tempo.errors import UsageError
    from tempo.formatting import printable
    from tempo.ui.server import Server, ServerConfig

    from .model_loading import load_model, server_client

    client = server_client(args) if args.server else None
    for path in args.videos:
        if path.is_dir():
            raise UsageError(f"{path}: a folder, not a video; offer its videos with --library {path}")
    for path in args.library:
        if path.is_file():
            raise UsageError(f"--library {path}: a file, not a folder; leave out --library")
    config = ServerConfig(
        host=args.host,
        port=args.port,
        library=(*args.videos, *args.library),
        upload_bytes=args.max_upload * 1_000_000,
        max_videos=args.max_videos,
        max_queued=args.max_queue,
        cache=args.cache,
        browser=args.open,
        **given(args, "fps", "max_frames", "sampling", "decode_workers"),
    )
    config.check()  # before the model loads, which takes longer
    with progress_bar("loading"):
        server = Server(client or load_model(args), config)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        print(f"{printable(server.url)}  (stop with Ctrl-C)", flush=True)
        server.wait()
    except KeyboardInterrupt:
        pass  # how a user stops the server
    finally:
        server.close()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _port(text: str) -> int:
    """Parse a port number."""
    value = int(text) if text.isdecimal() else 0
    if not 0 < value < 65536:
        raise argparse.ArgumentTypeError(f"must be a number between 1 and 65535, not {text!r}")
    return value
