"""Open a page in the browser: a video, questions, and the moments that the answers rest on.

The page shows how relevant every moment is and how many tokens it gets, and the budget can be moved without
watching again. Visitors upload their videos, or open what you allow: every PATH, and everything in it if it
is a folder. Only this machine can reach the page unless --host says otherwise.

Examples:
  tempo ui
  tempo ui films/
  tempo ui --port 8080 --open
  tempo ui holiday.mp4 --model Vision-CAIR/Tempo-6B --device cuda
  tempo ui --host 0.0.0.0 --max-upload 500 --visitors 20
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
    """Declare what may be opened, who may come, and the shared options."""
    parser.add_argument(
        "paths", metavar="PATH", nargs="*", type=Path, help="a file or folder that visitors may open"
    )
    add_model_options(parser)
    watching = parser.add_argument_group("watching")
    watching.add_argument(
        "--fps", type=positive_number, metavar="F", help="frames watched a second (default: the model's own)"
    )
    watching.add_argument(
        "--max-frames",
        type=positive_integer,
        metavar="N",
        help="frames watched of a video at most, whatever visitors ask for (default: the model's own)",
    )
    watching.add_argument(
        "--cache",
        choices=("auto", "device", "host", "disk"),
        default="auto",
        metavar="C",
        help="where to keep what was watched: device, host or disk (default: auto, the first with room)",
    )
    server = parser.add_argument_group("server")
    server.add_argument(
        "--host", default="127.0.0.1", metavar="H", help="address to listen at (default: 127.0.0.1)"
    )
    server.add_argument("--port", type=_port, metavar="P", help="default: the first free one from 7860 on")
    server.add_argument(
        "--max-upload", type=positive_integer, default=2000, metavar="MB", help="an upload (default: 2000)"
    )
    server.add_argument(
        "--visitors",
        type=positive_integer,
        default=8,
        metavar="N",
        help="with a video open at once; one more takes the place of the one unused for longest (default: 8)",
    )
    server.add_argument(
        "--waiting", type=positive_integer, default=16, metavar="N", help="for the model (default: 16)"
    )
    server.add_argument("--open", action="store_true", help="open the page in this machine's browser")
    server.add_argument(
        "--share",
        action="store_true",
        help="make a public address, through a service of Gradio's that sees all that goes through it",
    )


def run(args: argparse.Namespace) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    from tempo.console import counting
    from tempo.formatting import printable
    from tempo.ui.server import Server, Settings

    from .model_loading import load_model

    settings = Settings(
        host=args.host,
        port=args.port,
        allowed=tuple(args.paths),
        upload_bytes=args.max_upload * 1_000_000,
        most_open=args.visitors,
        most_waiting=args.waiting,
        cache=args.cache,
        share=args.share,
        browser=args.open,
        **given(args, "fps", "max_frames"),
    )
    settings.check()  # first: it is quick, and loading a model for nothing is not
    with counting("loading"):
        server = Server(load_model(args), settings)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        print(f"{printable(server.url)}  (Ctrl-C ends it)", flush=True)
        if server.public_url:
            print(f"{printable(server.public_url)}  (anybody who has this address can use it)", flush=True)
        server.wait()
    except KeyboardInterrupt:
        pass  # the way to end it
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
