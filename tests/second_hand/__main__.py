"""How a model answers about clips that another hand drew.

python -m tests.second_hand                    # the embedded model, twenty clips of 24 s
python -m tests.second_hand --clips 60 --seed validation --model runs/nano/final
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections import defaultdict
from pathlib import Path

import tempo
from tempo.stats import wilson

from .asking import is_right, questions
from .drawing import write
from .scenes import compose


def main() -> None:
    """Draw, ask, print the shares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=24.0)
    parser.add_argument("--seed", default="report")
    parser.add_argument("--budget", type=int, help="memory tokens a clip (default: the model's own)")
    parser.add_argument("--model", help="default: the embedded one")
    parser.add_argument("--wrong", action="store_true", help="print what was answered wrong")
    args = parser.parse_args()
    model = tempo.load(args.model)
    warnings.simplefilter("ignore", tempo.UnfamiliarVideoWarning)
    rights: dict[tuple[str, str], list[bool]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.clips):
            clip = compose(f"{args.seed}/{number}", seconds=args.seconds)
            session = model.watch(write(clip, Path(folder) / f"{number}.mp4"))
            for asked in questions(clip):
                answer = session.ask(asked.text, budget=args.budget, max_new_tokens=32).text
                right = is_right(asked, answer)
                rights[asked.group, ""].append(right)
                rights[asked.group, asked.form].append(right)
                if args.wrong and not right:
                    print(f"{number} {asked.group}: {asked.text!r} -> {answer!r}, not {asked.answer!r}")
    for (group, form), found in sorted(rights.items()):
        low, high = wilson(sum(found), len(found))
        share, name = sum(found) / len(found), f"  {form}" if form else group
        print(f"{name:24} {sum(found):4} of {len(found):4}  {share:4.0%} [{max(low, 0):.0%}, {high:.0%}]")


if __name__ == "__main__":
    main()
