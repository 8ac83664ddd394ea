"""The lmms-eval plugin `--model tempo`, which lmms-eval finds by the entry point in `lmms_eval.models`.

    lmms-eval --model tempo --model_args pretrained=DIR,budget=8k --tasks videomme

In addition to the arguments of :class:`tempo.evaluation.settings.Settings`, it takes `run`, a folder to which
it writes every answer and from which a run resumes, and `max_errors`. With several processes (`accelerate
launch` or `torchrun`), all questions about one video go to the same process.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import torch

from tempo.errors import TempoError, UsageError

from .evaluated_model import load
from .item_log import (
    ItemLog,
    ItemRecord,
    Key,
    read_records,
)
from .requests import read_request
from .runner import (
    Answerer,
    Item,
    by_video,
    distribute,
)
from .settings import Settings

try:
    from lmms_eval.api.instance import GenerationResult, TokenCounts
    from lmms_eval.api.model import lmms
except ModuleNotFoundError as missing:
    # Every module of tempo must import without the extras, even this one, which only lmms-eval uses.
    if missing.name != "lmms_eval":
        raise
    lmms = object

IGNORED = ("batch_size", "max_batch_size")
ANOTHER_FAILED = "another process has failed"


def manifest() -> Any:
    """The entry point, which tells lmms-eval which class to import."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest(model_id="tempo", chat_class_path=f"{__name__}.TempoModel")


class TempoModel(lmms):
    """A Tempo model behind lmms-eval's chat interface.

    Attributes:
        device: the device of the model.
    """

    is_simple = False

    def __init__(self, run: str | None = None, max_errors: int | None = None, **arguments: Any) -> None:
        from accelerate import Accelerator

        super().__init__()
        for name in IGNORED:
            arguments.pop(name, None)
        settings = Settings.from_arguments(arguments)
        self.accelerator = Accelerator()
        self._rank = self.accelerator.process_index
        self._world_size = self.accelerator.num_processes
        self.device = self.accelerator.device if self._world_size > 1 else _device(settings)
        self.folder = None if run is None else Path(run)
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
        self._log = None if self.folder is None else ItemLog(self.folder, self._rank)
        # A file that exists once one of the processes, which share a parent, has failed.
        self._failed = (self.folder or Path(tempfile.gettempdir())) / f".failed-{os.getppid()}"
        self._failed.unlink(missing_ok=True)
        self.accelerator.wait_for_everyone()
        self._answerer = Answerer(
            settings,
            lambda: load(settings, device=self.device, run=self.folder if self._rank == 0 else None),
            max_errors=max_errors,
        )
        self._pictures = tempfile.TemporaryDirectory(prefix="tempo-eval-")

    def generate_until(self, requests: list[Any]) -> list[Any]:
        """Answer every request of a run."""
        items = [self._item(number, request.args) for number, request in enumerate(requests)]
        known = {} if self.folder is None else read_records(self.folder)
        records = self._together(items, known)
        return [_result(records[item.key]) for item in items]

    def generate_until_multi_round(self, requests: list[Any]) -> list[Any]:
        """Not supported: tempo answers every question on its own."""
        raise UsageError("tempo answers single questions; choose a task without several rounds")

    def loglikelihood(self, requests: list[Any]) -> list[Any]:
        """Not supported: tempo generates answers."""
        raise UsageError("tempo generates answers; choose a task that does not score given ones")

    def clean(self) -> None:
        """Delete temporary files; lmms-eval calls this at the end."""
        self._pictures.cleanup()
        super().clean()

    def _together(self, items: list[Item], known: dict[Key, ItemRecord]) -> dict[Key, ItemRecord]:
        """Answer the items of all processes, each video in one process."""
        if self._world_size == 1:
            return self._answer(items, known)
        import torch.distributed as dist

        everyone: list[Any] = [None] * self._world_size
        dist.all_gather_object(everyone, items)
        pool = {item.key: item for share in everyone for item in share}
        # Sorted, so that every process computes the same distribution.
        groups = by_video(pool[key] for key in sorted(pool))
        mine: dict[Key, ItemRecord] | str
        try:
            mine = self._answer(distribute(groups, self._world_size)[self._rank], known)
        except Exception as error:  # otherwise the other processes would wait forever
            mine = str(error) if isinstance(error, TempoError) else f"{type(error).__name__}: {error}"
            self._failed.touch()
        dist.all_gather_object(everyone, mine)
        if failures := [share for share in everyone if isinstance(share, str)]:
            raise TempoError(min(failures, key=lambda why: why == ANOTHER_FAILED))
        return {key: record for share in everyone for key, record in share.items()}

    def _answer(self, items: list[Item], known: dict[Key, ItemRecord]) -> dict[Key, ItemRecord]:
        return self._answerer.answer(items, known=known, each=self._note)

    def _note(self, record: ItemRecord) -> None:
        if self._log is not None:
            self._log.add(record)
        if self._world_size > 1 and self._failed.exists():
            raise TempoError(ANOTHER_FAILED)

    def _item(self, number: int, arguments: tuple[Any, ...]) -> Item:
        """The item of one request of the chat interface."""
        _, to_messages, options, doc_id, task, split = arguments
        doc = self.task_dict[task][split][doc_id]
        picture = Path(self._pictures.name) / f"{self._rank}-{number}.png"
        return read_request(task, doc_id, doc, options, lambda: to_messages(doc), picture=picture)


def _result(record: ItemRecord) -> Any:
    return GenerationResult(
        text=record.text,
        token_counts=TokenCounts(input_tokens=record.prompt_tokens, output_tokens=record.answer_tokens),
    )


def _device(settings: Settings) -> torch.device:
    from tempo.devices import pick_device

    return pick_device(settings.device)
