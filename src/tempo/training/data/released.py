"""Public training data, as their authors release them, in the one form that training reads.

    python -m tempo.training.data.released llava 30_60_s/*oe*.json --media videos --out clips.jsonl
    python -m tempo.training.data.released sharegpt4video 40k.jsonl --media videos --out details.jsonl
    python -m tempo.training.data.released qvhighlights train.jsonl --media videos --out moments.jsonl

It copies no media. A file is looked for where a record says, below `--media`, and then by its name alone in
any folder there, because archives are unpacked in more than one way. Records without a file are left out and
counted, so that part of a data set can be used while the rest is being fetched. Paths in the result start
from `--media`. Several input files become one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tempo.errors import TempoError, UsageError
from tempo.storage.atomic_files import replacing

from .llava_conversation import read_conversation, read_evidence

Record = dict[str, Any]
_WHOLE = "-1"  # of a ShareGPT4Video caption: it is about all of the video
_DESCRIBE = "Describe this video in detail."


def llava(value: Record) -> Record:
    """LLaVA-Pretrain, LLaVA-Instruct, LLaVA-Video-178K, ShareGPT4V, or what was converted: conversations.

    Raises:
        TempoError: what training would refuse.
    """
    turns, medium = read_conversation(value)
    kind = "image" if value.get("image") or value.get("images") else "video"
    kept = {name: value[name] for name in ("id", "evidence") if value.get(name) is not None}
    return _record(kind, medium, turns) | kept


def sharegpt4video(value: Record) -> Record:
    """ShareGPT4Video: the description of the whole video, of those that it has.

    Raises:
        TempoError: there is none.
    """
    captions = value.get("captions")
    whole = [
        one["content"]
        for one in (captions if isinstance(captions, list) else [])
        if isinstance(one, dict) and str(one.get("idx")) == _WHOLE and isinstance(one.get("content"), str)
    ]
    if not whole:
        raise TempoError("has no caption of the whole video")
    path = value.get("video_path")
    if not isinstance(path, str):
        raise TempoError("has no video_path")
    return _record("video", path, [(_DESCRIBE, whole[0].strip())])


def qvhighlights(value: Record) -> Record:
    """QVHighlights: when something can be seen, with the stretches as evidence.

    Raises:
        TempoError: a field is missing, or the stretches are no times.
    """
    windows, query, name = read_evidence(value.get("relevant_windows")), value.get("query"), value.get("vid")
    if not (windows and isinstance(query, str) and isinstance(name, str)):
        raise TempoError("needs vid, query and relevant_windows")
    told = ", ".join(f"{start:g} to {end:g} seconds" for start, end in windows)
    question = f"When can this be seen: {query.strip().rstrip('.')}?"
    return _record("video", f"{name}.mp4", [(question, told)]) | {"evidence": windows}


FORMS: dict[str, Callable[[Record], Record]] = {
    "llava": llava,
    "sharegpt4video": sharegpt4video,
    "qvhighlights": qvhighlights,
}


def _record(kind: str, medium: str, turns: Iterable[tuple[str, str]]) -> Record:
    said = [one for q, a in turns for one in ({"from": "human", "value": q}, {"from": "gpt", "value": a})]
    return {kind: medium, "conversations": said}


def convert(
    form: str, files: Sequence[Path], *, media: Path, out: Path, refused: Counter[str] | None = None
) -> int:
    """Write the records of `files` whose media are there → how many.

    Args:
        form: one of FORMS.
        refused: counts the others by reason.

    Raises:
        TempoError: a file cannot be read, or no record can be used; nothing is written then.
    """
    refused = Counter() if refused is None else refused
    found, written = _Media(media), 0
    try:
        with replacing(out) as temporary:
            with temporary.open("w", encoding="utf-8") as stream:
                for value in (one for file in files for one in _values(file)):
                    try:
                        record = FORMS[form](value)
                        kind = "video" if "video" in record else "image"
                        record[kind] = found.path(record[kind])
                    except TempoError as error:
                        refused[str(error)] += 1
                        continue
                    stream.write(json.dumps(record, ensure_ascii=False) + "\n")
                    written += 1
            if written == 0:
                why = "; ".join(f"{count}: {reason}" for reason, count in refused.most_common(3))
                raise TempoError(f"none of the records can be used ({why or 'there are none'})")
    except OSError as error:
        raise TempoError(f"{out}: cannot be written ({error.strerror})") from error
    return written


class _Media:
    """The files below a folder, by the path in a record or by their name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._by_name: dict[str, list[str]] | None = None

    def path(self, named: str) -> str:
        """The path from the folder. Raises TempoError: there is no such file, or there are several."""
        if (self.folder / named).exists():
            return named
        if self._by_name is None:
            self._by_name = {}
            for file in self.folder.rglob("*"):
                self._by_name.setdefault(file.name, []).append(file.relative_to(self.folder).as_posix())
        same = self._by_name.get(Path(named).name, [])
        if len(same) != 1:
            raise TempoError(f"is not in {self.folder}" if not same else "has the name of several files")
        return same[0]


def _values(file: Path) -> Iterator[Record]:
    """The objects of a .json file, which holds a list, or of a .jsonl file, one a line."""
    try:
        for value in _array(file) if file.suffix.lower() == ".json" else _lines(file):
            if not isinstance(value, dict):
                raise TempoError(f"{file}: holds something else than objects")
            yield value
    except OSError as error:
        raise TempoError(f"{file}: not readable ({error.strerror})") from error
    except ValueError as error:
        raise TempoError(f"{file}: not JSON ({error})") from error


def _array(file: Path) -> list[Any]:
    values = json.loads(file.read_bytes())
    if not isinstance(values, list):
        raise TempoError(f"{file}: holds no list")
    return values


def _lines(file: Path) -> Iterator[Any]:
    with file.open("rb") as stream:
        yield from (json.loads(line) for line in stream if line.strip())


def main(argv: Sequence[str] | None = None) -> int:
    """Convert and say how many records there are and why others are not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("form", choices=tuple(FORMS))
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="released .json or .jsonl files")
    parser.add_argument("--media", type=Path, required=True, help="the folder that their paths start from")
    parser.add_argument("--out", type=Path, required=True, help="the .jsonl file to write")
    args = parser.parse_args(argv)
    refused: Counter[str] = Counter()
    try:
        if not args.media.is_dir():
            raise UsageError(f"{args.media}: no such folder")
        written = convert(args.form, args.files, media=args.media, out=args.out, refused=refused)
    except TempoError as error:
        print(f"tempo: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    print(f"{args.out}: {written} records; set data.0.media={args.media}")
    for reason, count in refused.most_common():
        print(f"  left out {count}: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
