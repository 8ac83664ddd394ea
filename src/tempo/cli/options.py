"""The command line options that several commands share, and the parsers of their values.

An option that is not given stays ``None`` and :func:`given` omits it, so that the defaults live in one place:
the Python functions that the commands call.
"""

import argparse
import math
from pathlib import Path
from typing import Any, Literal

from tempo.inference.cache_policy import CACHES
from tempo.inference.keep_strategies import KEEPS
from tempo.number_checks import (
    FASTEST,
    SLOWEST,
    is_whole,
    shown,
)
from tempo.video.sampling_options import SAMPLING_MODES

DTYPES = ("auto", "bfloat16", "float16", "float32")
ATTENTIONS = ("sdpa", "eager", "flash_attention_2")


def add_model_options(parser: argparse.ArgumentParser, *, several_devices: bool = False) -> None:
    """Declare which model answers and where it runs, with SEVERAL_DEVICES also on several at once."""
    parser.set_defaults(devices=None)
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        metavar="M",
        help="checkpoint folder or Hub name (default: the embedded model, which understands only synthetic "
        "videos)",
    )
    group.add_argument("--base", metavar="B", help="base model of a published checkpoint: folder or Hub name")
    group.add_argument("--device", metavar="D", help="auto, cpu, cuda, cuda:1, mps … (default: auto)")
    if several_devices:
        group.add_argument(
            "--devices",
            type=device_names,
            metavar="D,D",
            help="watch each video on several devices, such as cuda:0,cuda:1; all: every GPU",
        )
    group.add_argument("--dtype", choices=DTYPES, metavar="T", help=f"{', '.join(DTYPES)} (default: auto)")
    group.add_argument(
        "--attention", choices=ATTENTIONS, metavar="A", help=f"{', '.join(ATTENTIONS)} (default: sdpa)"
    )


def add_cluster_option(parser: argparse.ArgumentParser) -> None:
    """Declare the Ray cluster that watches."""
    parser.add_argument(
        "--ray",
        nargs="?",
        const="local",
        metavar="ADDRESS",
        help="watch the video on all machines of the Ray cluster at host:port, or 'auto' for the one that "
        "this machine belongs to; they must see the model and the video (without ADDRESS: Ray here)",
    )


def add_cluster_workers(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Declare the Ray cluster that answers, and what each worker holds of its machine."""
    cluster = parser.add_argument_group("Ray")
    cluster.add_argument(
        "--ray",
        nargs="?",
        const="local",
        metavar="ADDRESS",
        help="answer on the Ray cluster at host:port, or 'auto' for the one that this machine belongs to "
        "(default without ADDRESS: start Ray on this machine alone)",
    )
    cluster.add_argument(
        "--cpus-per-worker",
        type=positive_number,
        metavar="N",
        help="cores that a worker of the cluster holds (default: 1)",
    )
    cluster.add_argument(
        "--gpus-per-worker",
        type=number_from_zero,
        metavar="N",
        help="GPUs that it holds; 0.5 lets two share one (default: 1 where the cluster has any)",
    )
    return cluster


def add_watch_options(parser: argparse.ArgumentParser) -> None:
    """Declare which frames are watched and where the watched video is cached."""
    group = parser.add_argument_group("watching")
    group.add_argument("--fps", type=frame_rate, metavar="F", help="frames to watch per second (default: 2)")
    group.add_argument(
        "--max-frames",
        type=positive_integer,
        metavar="N",
        help="most frames to watch, spread evenly over a longer video (default: 1024)",
    )
    add_decoding_options(group)
    group.add_argument(
        "--cache",
        choices=CACHES,
        default="auto",
        metavar="C",
        help="where to cache the watched video: none, device, host or disk; disk makes the next question "
        "about it cheap (default: auto, reuse an existing disk entry; otherwise do not cache)",
    )


def add_decoding_options(group: argparse._ArgumentGroup | argparse.ArgumentParser) -> None:
    """Declare which frames stand for the sampled times, and how many decoders work on a file."""
    group.add_argument(
        "--sampling",
        choices=SAMPLING_MODES,
        metavar="S",
        help="exact, or keyframes: take the nearest keyframe within half a sampling interval, which is much "
        "faster where a file has many and samples are seconds apart (default: exact)",
    )
    group.add_argument(
        "--decode-workers",
        type=decode_workers,
        metavar="N",
        help="decoders that work on a video file at once; the frames are the same (default: auto, by the "
        "cores and the file)",
    )


def add_answer_options(parser: argparse.ArgumentParser) -> None:
    """Declare how tokens are allocated and how the answer is generated."""
    group = parser.add_argument_group("answering")
    group.add_argument(
        "--budget",
        type=positive_integer,
        metavar="N",
        help="memory tokens for the whole video (default: the model's own; 8192 for the published weights)",
    )
    group.add_argument(
        "--no-adaptive",
        dest="adaptive",
        action="store_const",
        const=False,
        help="give every segment the same share of the budget",
    )
    group.add_argument(
        "--keep",
        choices=KEEPS,
        metavar="K",
        help=f"which memory tokens of a segment to keep: {', '.join(KEEPS)} (default: head)",
    )
    group.add_argument(
        "--max-new-tokens",
        type=positive_integer,
        metavar="N",
        help="most tokens to generate (default: 256)",
    )
    group.add_argument(
        "--temperature",
        type=number_from_zero,
        metavar="T",
        help="sampling temperature; 0 always takes the likeliest token (default: 0)",
    )


def add_save_option(group: argparse._ArgumentGroup) -> None:
    """Declare the option that writes the answer to files."""
    group.add_argument(
        "--save",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="save the answer as FILE.html (a report), .png or .svg (a chart with frames), .srt (subtitles "
        "of its moments), .txt or .json; repeat for several files",
    )


def add_server_option(parser: argparse.ArgumentParser) -> None:
    """Declare --server; see :func:`.model_loading.server_client`."""
    parser.add_argument(
        "--server",
        metavar="URL",
        help="let a running `tempo serve` watch and answer, such as http://127.0.0.1:8000; its key is in "
        "$TEMPO_API_KEY",
    )


def given(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    """The options among NAMES that the user gave, as keyword arguments."""
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def positive_number(text: str) -> float:
    """Parse a finite number above 0."""
    value = _number(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text!r}")
    return value


def frame_rate(text: str) -> float:
    """Parse a number of frames per second."""
    value = _number(text)
    if not SLOWEST <= value <= FASTEST:
        raise argparse.ArgumentTypeError(
            f"must be frames per second, above 0 and at most {FASTEST:g}, not {text!r}"
        )
    return value


def number_from_zero(text: str) -> float:
    """Parse a finite number of 0 or more."""
    value = _number(text)
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"must be a number of 0 or more, not {text!r}")
    return value


def share(text: str) -> float:
    """Parse a number from 0 to 1."""
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, not {text!r}")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def positive_integer(text: str) -> int:
    """Parse a whole number of at least 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not is_whole(value, least=1):
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {shown(text)!r}")
    return value


def decode_workers(text: str) -> int | Literal["auto"]:
    """Parse a whole number of at least 1, or auto."""
    return "auto" if text == "auto" else positive_integer(text)


def integer_from_zero(text: str) -> int:
    """Parse a whole number of at least 0."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not is_whole(value, least=0):
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 0, not {shown(text)!r}")
    return value


def device_names(text: str) -> str | list[str]:
    """Parse devices with commas between them, or "all"."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"must be devices such as cuda:0,cuda:1, or all, not {text!r}")
    return "all" if names == ["all"] else names


def non_empty_text(text: str) -> str:
    """Parse a text that is not blank."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text
