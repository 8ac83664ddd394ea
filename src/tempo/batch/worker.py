"""A worker process of a batch run: it answers the cases of one video after another."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import recv_handle
from typing import TYPE_CHECKING, Any

from tempo.errors import NoRoomError, UsageError, describe

from .cases import SAMPLING_OPTIONS, Case, VideoGroup

if TYPE_CHECKING:
    from tempo.distributed.lent_replica import LentReplica
    from tempo.distributed.replica import Replica
    from tempo.inference.cache_policy import CacheKind
    from tempo.inference.engine import Tempo
    from tempo.inference.session import Session
    from tempo.video.sampling_options import DecodeWorkers


@dataclass(frozen=True)
class WorkerConfig:
    """What all workers of a run share: the arguments of `tempo.load`, the cache, their number, and how many
    decoders each of them has."""

    model: str | None
    model_options: dict[str, Any]
    cache: CacheKind
    workers: int
    decode_workers: DecodeWorkers = "auto"

    @property
    def shares_videos(self) -> bool:
        """Whether workers may share a video: not where each has several devices of its own for that."""
        return "devices" not in self.model_options


@dataclass(frozen=True)
class Assignment:
    """What a worker process is to do next. A connection follows for each name.

    Attributes:
        group: to answer; None: to help another worker.
        others: the names of the helpers, or of the one that is to be helped.
    """

    group: VideoGroup | None
    others: tuple[str, ...] = ()


def main(connection: Connection, config: WorkerConfig, index: int) -> None:
    """Load the model, then do what arrives until None arrives.

    Sends pairs: ("ready", its kind) once the model is loaded, or ("load_error", (message, whether it is a
    usage error)); ("record", (number of the case, its record)); ("done", None) after each assignment.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if not _debugging():
        warnings.simplefilter("ignore")
    try:
        model = load(config, index)
    except Exception as error:
        _trace(error)
        connection.send(("load_error", (describe(error), isinstance(error, UsageError))))
        return
    connection.send(("ready", kind_of(model)))
    while (task := connection.recv()) is not None:
        others = [(Connection(recv_handle(connection)), name) for name in task.others]
        if task.group is None:
            _help(model, others[0][0])
        else:
            from tempo.distributed.process_replica import ConnectedReplica

            helpers = [ConnectedReplica(one, name=name) for one, name in others]
            for number, record in answer(model, task.group, config, helpers):
                connection.send(("record", (number, record)))
        connection.send(("done", None))


def _help(model: Tempo, connection: Connection) -> None:
    """Watch what whoever is at the other end asks for, until that is gone."""
    from tempo.distributed.replica import replica_in_thread
    from tempo.distributed.replica_server import ReplicaServer

    with connection, contextlib.closing(replica_in_thread(model, model.device)) as replica:
        server = ReplicaServer(connection, replica)
        server.run()
        server.finish()


def answer(
    model: Tempo, group: VideoGroup, config: WorkerConfig, helpers: Sequence[Replica] = ()
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Watch the video of a group once, ask its questions, and yield (number, record) of every case.

    HELPERS watch ranges of it; they are closed at the end. An error becomes the record of its case.
    """
    from tempo.distributed.distributed_engine import helped

    with helped(model, helpers) as (together, lent):
        yield from _answer(together, model, lent, group, config)


def _with_helpers(record: dict[str, Any], video_path: str, lent: Sequence[LentReplica]) -> dict[str, Any]:
    """A record that names the workers which helped, and says in `warnings` what others could not do."""
    if helpers := [one.name for one in lent if one.helps]:
        record = {**record, "helpers": helpers}
    failures = [
        f"{one.name} cannot help with {video_path}, and its part is watched by another worker: {one.failure}"
        for one in lent
        if one.failure is not None
    ]
    return {**record, "warnings": [*record["warnings"], *failures]} if failures else record


def _answer(
    together: Tempo, alone: Tempo, lent: Sequence[LentReplica], group: VideoGroup, config: WorkerConfig
) -> Iterator[tuple[int, dict[str, Any]]]:
    def watch(model: Tempo) -> Session:
        return model.watch(
            group.video_path,
            cache=config.cache,
            several=len(group.cases) > 1,
            decode_workers=config.decode_workers,
            progress=None,
            **group.sampling,
        )

    try:
        session = watch(together)
    except Exception as error:
        _trace(error)
        for case in group.cases:
            yield case.number, case.failure(describe(error))
        return
    for index, case in enumerate(group.cases):
        try:
            try:
                found = session.ask(case.query or "", **_options(case))
            except NoRoomError:
                if together is alone:
                    raise
                # What helpers kept and lost does not fit here beside the rest.
                together, lent, session = alone, (), watch(alone)
                found = session.ask(case.query or "", **_options(case))
            if index == 0:
                found = found.with_watching(session.timings)
            record = {**case.header(), **found.to_dict()}
            yield case.number, _with_helpers(record, group.video_path, lent)
        except Exception as error:
            _trace(error)
            yield case.number, case.failure(describe(error))


def kind_of(model: Tempo) -> str:
    """What has to be equal, so that several workers watch one video as one does."""
    return f"{model.dtype} on {model.device.type}"


def _options(case: Case) -> dict[str, Any]:
    return {name: value for name, value in case.settings.items() if name not in (*SAMPLING_OPTIONS, "model")}


def load(config: WorkerConfig, index: int = 0) -> Tempo:
    """Load the model; workers of one machine, numbered by `index`, share its cores and GPUs."""
    import torch

    import tempo

    options = dict(config.model_options)
    gpus = torch.cuda.device_count()
    if "devices" not in options and options.get("device", "auto") == "auto" and gpus > 1:
        options["device"] = f"cuda:{index % gpus}"
    if config.workers > 1:
        torch.set_num_threads(max(1, torch.get_num_threads() // config.workers))
    return tempo.load(config.model, **options)


def _end_with_parent() -> None:
    """Exit as soon as the parent process is gone, for whatever reason."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _trace(error: Exception) -> None:
    if _debugging():
        traceback.print_exception(error)


def _debugging() -> bool:
    return os.environ.get("TEMPO_DEBUG", "") not in ("", "0")
