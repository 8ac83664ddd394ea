"""A whole run: every film of a folder, then its report. A run that was killed goes on where it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tempo.inference.engine import Tempo
from tempo.reporting.report_files import to_json, write_files
from tempo.reporting.tables import to_markdown
from tempo.synthetic.evaluate import ground_truths

from .asking import answer_film
from .records import Answered, Records
from .tables import tables
from .variants import NEUTRAL, every_way

ANSWERS = "answers"
STEM = "claims"
TITLE = "Claims"
METHOD = (
    "Intervals are 95 %: Wilson's for shares; of means and of differences, question by question, from 10,000 "
    "bootstrap samples of the questions. *gained / lost* counts the questions that only the row, or only "
    "what it is compared with, answers right; p is McNemar's, exact and two-sided, and not corrected for the "
    "number of rows. Questions about one film count as independent, though they share the film."
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
        folder: films that `tempo synthetic make` wrote.
        model_hash: tells the model's files from any other's.
        questions: of each film only the first so many.
        conditions: paragraphs that say where and with what it was measured.
        progress: called with (films answered, films).

    Raises:
        TempoError: no films there, a film that cannot be read, or answers in `out` that another model gave.
    """
    films = ground_truths(folder)
    config = model.config
    ways = every_way(config.num_compression_tokens)
    made_with = {
        "model": model_hash,
        "dtype": str(model.dtype).removeprefix("torch."),
        "questions": questions,
        "neutral question": NEUTRAL,
        "ways": [way.name for way in ways],
    }
    answered = Answered(out / ANSWERS, films, made_with)
    found = {film: answered.read(film) for film in films}
    if None in found.values():  # what an earlier, smaller run reported would not be about these answers
        for suffix in ("md", "json"):
            (out / f"{STEM}.{suffix}").unlink(missing_ok=True)
    records: Records = []
    for number, film in enumerate(films):
        if (of_film := found[film]) is None:
            of_film = answer_film(model, film, ways, questions=questions)
            answered.write(film, of_film)
        records += of_film
        if progress:
            progress(number + 1, len(films))
    made = tables(records, k_max=config.num_compression_tokens, segment_frames=config.segment_frames)
    before = [*conditions, f"{len(records)} questions about {len(films)} films.", METHOD]
    text = to_markdown(TITLE, made, before=before)
    values = {"conditions": conditions, "made_with": made_with, "tables": made}
    write_files(out, {f"{STEM}.md": text, f"{STEM}.json": to_json(values)})
    return text
