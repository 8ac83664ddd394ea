"""Runs the ablations on every video of a folder and writes the report; resumes after an interruption."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tempo.inference.engine import Tempo
from tempo.reporting.report_files import to_json, write_files
from tempo.reporting.tables import to_markdown
from tempo.synthetic.evaluate import ground_truths

from .asking import answer_questions
from .records import Answered, Records
from .tables import tables
from .variants import NEUTRAL, every_variant

ANSWERS = "answers"
STEM = "ablations"
TITLE = "Ablations"
METHOD = (
    "Intervals are 95 %: Wilson's for shares; of means and of differences, question by question, from 10,000 "
    "bootstrap samples of the questions. *gained / lost* counts the questions that only the row, or only "
    "what it is compared with, answers right; p is McNemar's, exact and two-sided, and not corrected for the "
    "number of rows. Questions about one video count as independent, though they share the video."
)


def run(
    model: Tempo,
    folder: Path,
    out: Path,
    *,
    model_hash: str,
    questions: int | None = None,
    conditions: list[str],
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """Answer what is not answered yet, write the report into `out`, and return it as Markdown.

    Args:
        folder: videos that `tempo synthetic make` wrote.
        model_hash: tells the model's files from any other's.
        questions: of each video only the first so many.
        conditions: paragraphs that say where and with what it was measured.
        progress: called with (videos answered, videos).

    Raises:
        TempoError: no videos there, a video that cannot be read, or answers in `out` that another model gave.
    """
    videos = ground_truths(folder)
    config = model.config
    variants = every_variant(config.num_compression_tokens)
    made_with = {
        "model": model_hash,
        "dtype": str(model.dtype).removeprefix("torch."),
        "questions": questions,
        "neutral question": NEUTRAL,
        "ways": [variant.name for variant in variants],
    }
    answered = Answered(out / ANSWERS, videos, made_with)
    found = {video: answered.read(video) for video in videos}
    if None in found.values():  # what an earlier, smaller run reported would not be about these answers
        for suffix in ("md", "json"):
            (out / f"{STEM}.{suffix}").unlink(missing_ok=True)
    records: Records = []
    for number, video in enumerate(videos):
        if (of_video := found[video]) is None:
            of_video = answer_questions(model, video, variants, questions=questions)
            answered.write(video, of_video)
        records += of_video
        if progress:
            progress(number + 1, len(videos))
    made = tables(records, k_max=config.num_compression_tokens, segment_frames=config.segment_frames)
    before = [*conditions, f"{len(records)} questions about {len(videos)} videos.", METHOD]
    text = to_markdown(TITLE, made, before=before)
    values = {"conditions": conditions, "made_with": made_with, "tables": made}
    write_files(out, {f"{STEM}.md": text, f"{STEM}.json": to_json(values)})
    return text
