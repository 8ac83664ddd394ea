"""Watch the corpus and print what comes out: `python -m tests.media [PART OF A NAME ...]`.

One line a case and sampling: moments asked for, shown, counted as lost, shown wrongly; then what is wrong.
With --keep FOLDER the files stay there; with --decoder the pictures and times that the decoder alone gives.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from media.cases import Case
from media.checking import WAYS, Seen, differs_with_several_decoders, watch
from media.corpus import UNMENDED, corpus


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.media", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", help="show only cases with one of these in their names")
    parser.add_argument("--keep", type=Path, help="write the files into this folder and leave them there")
    parser.add_argument("--decoder", action="store_true", help="print what the decoder alone gives")
    parser.add_argument("--wrong", action="store_true", help="print only what is wrong")
    arguments = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        print(f"{'case':<40} sampling  asked shown  lost wrong  seconds")
        for name, case in corpus().items():
            if arguments.names and not any(part in name for part in arguments.names):
                continue
            failed += _report(case, folder / name, decoder=arguments.decoder, all_lines=not arguments.wrong)
    print(f"{failed} cases come out wrong")
    return int(failed > 0)


def _report(case: Case, path: Path, *, decoder: bool, all_lines: bool) -> bool:
    begun = time.perf_counter()
    try:
        case.build(path)
    except Exception:
        traceback.print_exc()
        return True
    building = time.perf_counter() - begun
    wrong = False
    for way in WAYS:
        begun = time.perf_counter()
        try:
            seen = watch(case, path, way)
        except Exception as error:
            seen = Seen(faults=[f"{type(error).__name__}: {error}"])
        wrong = wrong or bool(seen.faults)
        if all_lines or seen.faults:
            took = f"{building:.2f}+{time.perf_counter() - begun:.2f}"
            print(
                f"{case.name:<40} {way:<8} {seen.wanted:>6}{seen.shown:>6}"
                f"{seen.lost:>6}{seen.wrong:>6}  {took}{'  (known)' if case.name in UNMENDED else ''}"
            )
        for fault in seen.faults:
            print(f"    {fault}")
    for fault in differs_with_several_decoders(path):
        wrong = True
        print(f"{case.name:<40} {fault}")
    if decoder:
        _print_decoder(path)
    return wrong


def _print_decoder(path: Path) -> None:
    import av

    import clips

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        print(
            f"    {container.format.name} {stream.codec_context.name}: the clock begins at "
            f"{(container.start_time or 0) / 1e6:.3f} s, lasts {(container.duration or 0) / 1e6:.3f} s"
        )
        told = [
            f"{float(frame.time or 0):.3f}:{clips.index_of(frame.to_ndarray(format='rgb24'))}"
            for frame in container.decode(stream)
        ]
    print("    " + " ".join(told))


if __name__ == "__main__":
    sys.exit(main())
