"""Serve a page in the browser for asking questions about videos.

The page plays the video and charts how relevant each moment is to the question and how many tokens it gets;
moving the budget does not watch the video again. Users upload videos or open what you allow: each PATH, and
everything below it if it is a folder. Only this machine can reach the page unless you set --host.

Examples:
  tempo ui
  tempo ui films/
  tempo ui --port 8080 --open
  tempo ui holiday.mp4 --model Vision-CAIR/Tempo-6B --device cuda
  tempo ui --host 0.0.0.0 --max-upload 500 --max-sessions 20
"""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from types import FrameType

from .options import (
    add_model_options,
    given,
    positive_integer,
    positive_number,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "paths", metavar="PATH", nargs="*", type=Path, help="a file or folder that users may open"
    )
    add_model_options(parser)
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
        "--max-sessions",
        type=positive_integer,
        default=8,
        metavar="N",
        help="sessions with an open video; one more evicts the least recently used session (default: 8)",
    )
    server.add_argument(
        "--max-queue",
        type=positive_integer,
        default=16,
        metavar="N",
        help="requests that may wait for the model (default: 16)",
    )
    server.add_argument("--open", action="store_true", help="open the page in this machine's browser")
    server.add_argument(
        "--share",
        action="store_true",
        help="create a public URL through a service of Gradio's, which sees all traffic",
    )


def run(args: argparse.Namespace) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    from tempo.console import progress_bar
    from tempo.formatting import printable
    from tempo.ui.server import Server, ServerConfig

    from .model_loading import load_model

    config = ServerConfig(
        host=args.host,
        port=args.port,
        allowed=tuple(args.paths),
        upload_bytes=args.max_upload * 1_000_000,
        max_open=args.max_sessions,
        max_queued=args.max_queue,
        cache=args.cache,
        share=args.share,
        browser=args.open,
        **given(args, "fps", "max_frames"),
    )
    config.check()  # before the model loads, which takes longer
    with progress_bar("loading"):
        server = Server(load_model(args), config)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        print(f"{printable(server.url)}  (stop with Ctrl-C)", flush=True)
        if server.public_url:
            print(f"{printable(server.public_url)}  (anyone with this URL can use it)", flush=True)
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
