"""How multiple choice is put: as lmms-eval 0.7 sends it for the four benchmarks, and as people type it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_VIDEO_MME = (
    "Select the best answer to the following multiple-choice question based on the video and the subtitles. "
    "Respond with only the letter (A, B, C, or D) of the correct option.\n"
)
_DIRECTLY = "Answer with the option's letter from the given choices directly."


@dataclass(frozen=True)
class Form:
    """What stands before the question, between it and each option, and behind the last one.

    Attributes:
        mark: of an option; {} is its letter or number.
        labels: the letters or numbers.
    """

    mark: str
    after: str = ""
    before: str = ""
    opening: str = "\n"
    joint: str = "\n"
    labels: str = "ABCDEF"

    def put(self, question: str, options: Sequence[str]) -> str:
        """The question as it is sent."""
        marks = [self.mark.format(label) for label in self.labels]
        lines = (f"{mark} {text}" for mark, text in zip(marks, options, strict=False))
        return f"{self.before}{question}{self.opening}{self.joint.join(lines)}{self.after}"


OFFICIAL = {
    "LVBench": Form("({})", "\nAnswer the question with the option letter"),
    "MLVU": Form("({})", "\nOnly give the best option.\nBest option: ("),
    "Video-MME": Form("{}.", f"\n\n{_DIRECTLY}", before=_VIDEO_MME),
    "Video-MME, Qwen3-VL": Form(
        "{}.", "\nAnswer with the option letter only.", before="Question: ", opening="\nOptions:\n"
    ),
    "LongVideoBench": Form("{}.", f"\n{_DIRECTLY}\n"),
}
PEOPLES = {
    "A)": Form("{})"),
    "a) in a line": Form("{})", " which one?", opening=" ", joint=" ", labels="abcdef"),
    "1.": Form("{}.", "\nJust give me the number.", labels="123456"),
    "(A), best answer": Form("({})", "\nBest answer:"),
}
FORMS = OFFICIAL | PEOPLES
