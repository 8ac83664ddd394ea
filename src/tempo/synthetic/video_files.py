"""Writes synthetic videos as H.264 files, each beside a JSON file with its ground truth and questions."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tempo.errors import TempoError, UsageError
from tempo.storage.atomic_files import replacing, write_atomically
from tempo.video.provenance import GENERATED

from .expressions import SyntheticQuestion
from .follow_ups import random_follow_ups
from .questions import make_question
from .render import render
from .script import Script, make_script
from .templates import GLOBAL_KINDS, KINDS, WIDE_KINDS

FOLLOW_UP = "follow-up"
ASPECTS: dict[str, float] = {"16:9": 16 / 9, "4:3": 4 / 3, "9:16": 9 / 16}


def kinds_of(*, wide: bool, everything: bool) -> tuple[str, ...]:
    """The kinds of questions about a video that is wide or not, with or without global questions and
    follow-ups."""
    return (*KINDS, *(WIDE_KINDS if wide else ()), *((*GLOBAL_KINDS, FOLLOW_UP) if everything else ()))


@dataclass(frozen=True, kw_only=True)
class FileSpec:
    """The options of a synthetic video file. `height` is that of the shorter edge, as in "720p".

    `keyframe_seconds`: at most so long from one keyframe to the next; None: as the encoder likes.
    """

    seconds: float
    height: int = 360
    fps: int = 15
    aspect: str = "16:9"
    held_out: bool = False
    wide: bool = False
    keyframe_seconds: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.seconds <= 4 * 3600:
            raise UsageError(f"seconds must be between 1 and 14400, not {self.seconds}")
        if not 120 <= self.height <= 2160:
            raise UsageError(f"height must be between 120 and 2160, not {self.height}")
        if not 5 <= self.fps <= 60:
            raise UsageError(f"fps must be between 5 and 60, not {self.fps}")
        if self.keyframe_seconds is not None and not 1 / self.fps <= self.keyframe_seconds <= 600:
            raise UsageError(f"keyframe_seconds must be from one frame to 600 s, not {self.keyframe_seconds}")
        if self.aspect not in ASPECTS:
            raise UsageError(f"aspect must be one of {', '.join(ASPECTS)}, not {self.aspect!r}")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, both even."""
        ratio = ASPECTS[self.aspect]
        longer = round(self.height * max(ratio, 1 / ratio) / 2) * 2
        shorter = self.height // 2 * 2
        return (longer, shorter) if ratio >= 1 else (shorter, longer)


def write_video(
    script: Script, path: Path, spec: FileSpec, *, progress: Callable[[int, int], None] | None = None
) -> None:
    """Render `script` and encode it as H.264 in `path`, which is written atomically."""
    width, height = spec.size
    total = round(spec.seconds * spec.fps)
    try:
        with replacing(path) as part, av.open(str(part), "w", format="mp4") as container:
            container.metadata.update(GENERATED)
            options = {"preset": "veryfast", "crf": "21"}
            if spec.keyframe_seconds is not None:
                options["g"] = str(round(spec.keyframe_seconds * spec.fps))
            stream = container.add_stream("libx264", rate=spec.fps, options=options)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.time_base = Fraction(1, spec.fps)
            step = max(1, 2 * spec.fps)
            for start in range(0, total, step):
                times = np.arange(start, min(start + step, total)) / spec.fps
                for offset, picture in enumerate(render(script, times, spec.size, held_out=spec.held_out)):
                    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                    frame.pts = start + offset
                    container.mux(stream.encode(frame))
                if progress:
                    progress(start + len(times), total)
            container.mux(stream.encode())
    except OSError as error:
        raise TempoError(f"{path}: cannot be written ({error.strerror or error})") from error


def make_questions(
    rng: random.Random, script: Script, *, count: int, held_out: bool, kinds: Sequence[str] = KINDS
) -> list[SyntheticQuestion]:
    """`count` questions about `script`, kinds in turn, about one in three as multiple choice."""
    found: list[SyntheticQuestion] = []
    for attempt in range(count * 6):
        if len(found) == count:
            break
        kind = kinds[attempt % len(kinds)]
        question: SyntheticQuestion | None
        if kind == FOLLOW_UP:
            follow_ups = random_follow_ups(rng, script, held_out=held_out)
            question = rng.choice(follow_ups) if follow_ups else None
        else:
            question = make_question(rng, script, kind=kind, held_out=held_out, choice=rng.random() < 0.34)
        said = {(*other.earlier, other.text) for other in found}
        if question and (*question.earlier, question.text) not in said:
            found.append(question)
    return found


def make_file(
    path: Path,
    spec: FileSpec,
    *,
    seed: str,
    questions: int,
    kinds: Sequence[str] = KINDS,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write one video and, beside it with the ending `.json`, its ground truth. Equal seeds give equal
    truths.

    Args:
        kinds: of questions, in turn; see `kinds_of`.
    """
    rng = random.Random(f"{seed}/{'held-out' if spec.held_out else 'train'}")
    script = make_script(rng, duration=spec.seconds, aspect=ASPECTS[spec.aspect], wide=spec.wide)
    write_video(script, path, spec, progress=progress)
    truth: dict[str, Any] = {
        "video": path.name,
        "seed": seed,
        **asdict(spec),
        "width": spec.size[0],
        "frame_height": spec.size[1],
        "scenes": [asdict(scene) for scene in script.scenes],
        "questions": [
            q.to_json()
            for q in make_questions(rng, script, count=questions, held_out=spec.held_out, kinds=kinds)
        ],
    }
    write_atomically(path.with_suffix(".json"), json.dumps(truth, indent=1) + "\n")
