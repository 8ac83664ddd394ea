"""A worker of a batch run: a process that answers the cases of one video after another."""

from __future__ import annotations

import multiprocessing
import os
import threading
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from tempo.errors import UsageError, told

from .cases import WATCHING, Case, Group

if TYPE_CHECKING:
    from tempo.inference.cache_policy import CacheKind
    from tempo.inference.engine import Tempo


@dataclass(frozen=True)
class Work:
    """What all workers of a run have in common: the model, as arguments of `tempo.load`, and the cache."""

    model: str | None
    model_options: dict[str, Any]
    cache: CacheKind
    workers: int


def main(connection: Connection, work: Work, index: int) -> None:
    """Load the model, then answer the groups that come in, until None comes.

    What goes back are pairs: ("ready", None); ("record", (number of the case, its record)); ("done", None)
    after each group; ("unusable", (message, whether it is wrong usage)) where the model cannot be loaded.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if not _debugging():
        warnings.simplefilter("ignore")
    try:
        model = _load(work, index)
    except Exception as error:
        _trace(error)
        connection.send(("unusable", (told(error), isinstance(error, UsageError))))
        return
    connection.send(("ready", None))
    while (group := connection.recv()) is not None:
        for number, record in answer(model, group, cache=work.cache):
            connection.send(("record", (number, record)))
        connection.send(("done", None))


def answer(model: Tempo, group: Group, *, cache: CacheKind) -> Iterator[tuple[int, dict[str, Any]]]:
    """Watch the video of a group once and ask its questions: (number, record) of every case.

    Whatever goes wrong is the record of the case that it went wrong for.
    """
    from tempo.inference.serialization import record
    from tempo.video.video import Video

    try:
        video = Video.open(group.video_path)
        session = model.watch(video, cache=cache, several=len(group.cases) > 1, **group.sampling)
    except Exception as error:
        _trace(error)
        for case in group.cases:
            yield case.number, case.failed(told(error))
        return
    for place, case in enumerate(group.cases):
        try:
            found = session.ask(case.query or "", **_options(case))
            if place == 0:
                found = found.with_watching(session.timings)
            yield case.number, {**case.heading(), **record(found)}
        except Exception as error:
            _trace(error)
            yield case.number, case.failed(told(error))


def _options(case: Case) -> dict[str, Any]:
    return {name: value for name, value in case.settings.items() if name not in (*WATCHING, "model")}


def _load(work: Work, index: int) -> Tempo:
    """Load the model; several workers share the processor's cores and spread over the GPUs."""
    import torch

    import tempo

    options = dict(work.model_options)
    gpus = torch.cuda.device_count()
    if options.get("device", "auto") == "auto" and gpus > 1:
        options["device"] = f"cuda:{index % gpus}"
    if work.workers > 1:
        torch.set_num_threads(max(1, torch.get_num_threads() // work.workers))
    return tempo.load(work.model, **options)


def _end_with_parent() -> None:
    """End this process as soon as the one that started it is gone, whatever ended it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _trace(error: Exception) -> None:
    if _debugging():
        traceback.print_exception(error)


def _debugging() -> bool:
    return os.environ.get("TEMPO_DEBUG", "") not in ("", "0")
