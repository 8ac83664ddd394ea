"""One trainer for every objective: load → train → validate → save.

A run has a folder: its recipe, a log, checkpoints, and in the end a model that `tempo.load` opens. Whatever
is random in a step follows from the seed and the number of the step, so a resumed run is the run that nothing
disturbed, to the bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tempo.devices import pick_dtype
from tempo.errors import TempoError, UsageError

from . import model_init, optim
from .averages import Averages
from .checkpointing import CheckpointManager
from .config import Recipe
from .config_parsing import read_recipe
from .data.dataset import ATTEMPTS, Sample, SkippedSample, prefetch
from .distributed import DistributedContext, distributed_context
from .lr_schedule import LRSchedule
from .metrics import MetricLogger, TensorBoardWriter, TrainingProgressBar
from .objective import ObjectiveOutput
from .parallelize import full_tensor, parallelize, redistribute
from .run_dir import CHECKPOINTS, LOG, MODEL, RECIPE, TrainingResult, begin, write_result
from .run_setup import build_objective, load_data, load_model, steps_of
from .signals import Stopping
from .validation import BestCheckpoint, validate


def train(recipe: Recipe) -> TrainingResult:
    """Begin a run.

    Raises:
        TempoError: whatever of the recipe is not there or does not work.
        UsageError: there is a run in its folder already.
    """
    out = Path(recipe.out)
    with distributed_context(recipe.device) as context:
        error: TempoError | None = None
        if context.is_main:
            try:
                begin(out, recipe)
            except TempoError as caught:
                error = caught
        context.raise_everywhere(error)
        return Trainer(recipe, out, context).run()


def resume(out: Path) -> TrainingResult:
    """Resume a run from its last checkpoint, or from its beginning where it has none yet.

    Raises:
        TempoError: there is no run, or its checkpoint is damaged.
    """
    if not (out / RECIPE).is_file():
        raise UsageError(f"{out}: no run to resume; name a folder with a {RECIPE}")
    recipe = read_recipe(out / RECIPE)
    with distributed_context(recipe.device) as context:
        return Trainer(recipe, out, context).run()


class Trainer:
    """One run in one process. Every process of a run has one, and they move in step."""

    def __init__(self, recipe: Recipe, out: Path, context: DistributedContext) -> None:
        self.recipe, self.out, self.context = recipe, out, context
        # Not told how many, MKL picks its threads anew for every product, and another order of summing gives
        # other bits: a run that is resumed would not be the run that went through.
        torch.set_num_threads(torch.get_num_threads())
        if recipe.batch.global_batch_size % context.size:
            raise UsageError(
                f"batch.global_batch_size={recipe.batch.global_batch_size} cannot be divided among "
                f"{context.size} processes; make it a multiple"
            )
        self.bfloat16 = recipe.precision == "bfloat16" or (
            recipe.precision == "auto" and pick_dtype("auto", context.device) == torch.bfloat16
        )
        self.spec = model_init.read_spec(recipe.model)
        self.dataset, self.held_out = load_data(recipe, self.spec)
        self.steps = steps_of(recipe, self.dataset)
        self.model = load_model(recipe, self.spec, context, bfloat16=self.bfloat16)
        self.objective = build_objective(recipe, self.model, self.spec.prompts).to(context.device).train()
        self.parallel = parallelize(self.objective, context, recipe.parallel, bfloat16=self.bfloat16)
        groups = optim.parameter_groups(self.objective, recipe.learning_rates, recipe.optimizer)
        self.optimizers = optim.Optimizers(groups, recipe.optimizer)
        self.schedule = LRSchedule(self.steps, recipe.schedule.warmup_steps, recipe.schedule.decay_ratio)
        self.checkpoints = CheckpointManager(out / CHECKPOINTS, keep=recipe.checkpoints.keep)
        self.logger = MetricLogger(out / LOG)
        self.step = 0
        self.skipped: dict[str, str] = {}
        self.first_loss = self.last_loss = math.nan
        self.best = BestCheckpoint(recipe.validation.metric)
        self._begun = time.monotonic()

    def run(self) -> TrainingResult:
        """Take every step that is left, and write the model.

        Raises:
            KeyboardInterrupt: the run was asked to stop; there is a checkpoint of its last step.
        """
        self._restore()
        saved = self._begun = time.monotonic()
        board = self._tensorboard()
        bar = TrainingProgressBar(steps=self.steps, done=self.step, shown=self.context.is_main)
        try:
            with bar, Stopping() as stopping:
                if self.step == 0 and self._validation_is_due():
                    self._validate(bar, board)
                batches = self._batches()
                while self.step < self.steps and not self._stopped_early():
                    figures = self._train_step(next(batches), bar)
                    self._log(figures, board)
                    bar.update(
                        self.step,
                        loss=figures["loss"],
                        tokens_per_second=figures.get("tokens_per_second", 0.0),
                    )
                    if self._validation_is_due():
                        self._validate(bar, board)
                    saved, stop = self._save_when_due(saved, asked=stopping.asked)
                    if stop and self.step < self.steps:
                        bar.message(f"step {self.step} is saved; resume with tempo train --resume {self.out}")
                        raise KeyboardInterrupt
        finally:
            if board is not None:
                board.close()
        self._finish()
        best = self.best if self.held_out is not None else None
        return TrainingResult(
            self.first_loss, self.last_loss, self.step, len(self.skipped), self.out / MODEL, best
        )

    def _tensorboard(self) -> TensorBoardWriter | None:
        if not (self.recipe.tensorboard and self.context.is_main):
            return None
        return TensorBoardWriter(self.out / "tensorboard", step=self.step)

    def _batches(self) -> Iterator[list[Sample]]:
        """This process's share of the samples of each step."""
        samples = self.recipe.batch.global_batch_size
        share = samples // self.context.size
        mine = range(self.context.rank * share, (self.context.rank + 1) * share)
        order = [step * samples + n for step in range(self.step, self.steps) for n in mine]
        loaded = prefetch(self.dataset, order, num_workers=self.recipe.num_workers)
        for _ in range(self.step, self.steps):
            yield [next(loaded) for _ in mine]

    # --- train ----------------------------------------------------------------------------------------------

    def _train_step(self, batch: list[Sample], bar: TrainingProgressBar) -> dict[str, Any]:
        """Take one optimizer step → figures for the log."""
        torch.manual_seed((self.recipe.seed * 1_000_003 + self.step) * 4099 + self.context.rank)
        self._note_skipped(batch, bar)
        examples = [sample.example for sample in batch]
        counts = self.context.sum_by_name(self.objective.counts(examples))
        averages, totals = self._accumulate_gradients(examples, counts).over(self.context)
        clipped = torch.nn.utils.clip_grad_norm_(
            self.optimizers.parameters, self.recipe.optimizer.max_grad_norm
        )
        figures: dict[str, Any] = averages | {"grad_norm": float(full_tensor(clipped, wanted=True))}
        self._check_finite(batch, figures)
        figures["lr_scale"] = scale = self.schedule.scale(self.step)
        self.optimizers.step(scale)
        self.step += 1
        self.last_loss = figures["loss"]
        if math.isnan(self.first_loss):
            self.first_loss = self.last_loss
        now = time.monotonic()
        seconds, self._begun = now - self._begun, now
        figures |= {name: int(total) for name, total in totals.items()}
        if "tokens" in totals:
            figures["tokens_per_second"] = round(totals["tokens"] / seconds, 1)
        return figures | {"seconds": round(seconds, 3), "skipped": len(self.skipped)}

    def _accumulate_gradients(self, examples: list[Any], counts: dict[str, float]) -> Averages:
        """Add up the gradients of this process's share, a micro-batch at a time.

        Args:
            counts: over what the losses of the whole step are averaged.
        """
        size, averages = self.recipe.batch.micro_batch_size, Averages()
        weights = self.objective.loss_weights
        for start in range(0, len(examples), size):
            some = examples[start : start + size]
            last = start + size >= len(examples)
            waits = not last and isinstance(self.parallel, nn.parallel.DistributedDataParallel)
            with self.parallel.no_sync() if waits else nullcontext():  # type: ignore[operator]
                with torch.autocast(self.context.device.type, torch.bfloat16, enabled=self.bfloat16):
                    output: ObjectiveOutput = self.parallel(some)
                parts = [
                    weights.get(name, 1.0) * loss / counts[name]
                    for name, loss in output.losses.items()
                    if counts[name]
                ]
                # Gradients become the mean over processes; each has its share of one sum.
                (torch.stack(parts).sum() * self.context.size).backward()
            averages.add(output, self.objective.counts(some))
        return averages

    def _check_finite(self, batch: list[Sample], figures: dict[str, float]) -> None:
        """Stop before a broken step is taken. The log names all of its batch, the message the first."""
        broken = [(name, value) for name, value in figures.items() if not math.isfinite(value)]
        if not broken:
            return
        names = self.context.gather(sample.name for sample in batch)
        what, value = broken[0]
        if self.context.is_main:
            self.logger.write({"step": self.step + 1, "not_finite": what, "batch": names})
        shown = ", ".join(names[:8])
        if len(names) > 8:
            shown += f" and {len(names) - 8} more, in {self.logger.path}"
        raise TempoError(
            f"step {self.step + 1}: the {what} is {value}; its batch: {shown}; look at these samples, or "
            f"lower the learning rates; the last checkpoint in {self.checkpoints.folder} predates it"
        )

    def _note_skipped(self, batch: list[Sample], bar: TrainingProgressBar) -> None:
        """Name what could not be read; stop where it is too much."""
        skipped: list[SkippedSample] = self.context.gather(one for some in batch for one in some.skipped)
        for one in skipped:
            if one.name in self.skipped:
                continue
            self.skipped[one.name] = one.reason
            if self.context.is_main:
                self.logger.write({"step": self.step + 1, "skipped_sample": one.name, "reason": one.reason})
            bar.message(f"skipped {one.name}: {one.reason}")
            limit = self.recipe.skip_limit
            if len(self.skipped) > limit:
                raise TempoError(
                    f"{len(self.skipped)} samples could not be read and skip_limit is {limit}; "
                    f"the last: {one.name}: {one.reason}"
                )
        if any(self.context.gather(sample.example is None for sample in batch)):
            raise TempoError(
                f"{ATTEMPTS} samples in a row could not be read; the log in {self.logger.path} names them"
            )

    def _log(self, figures: dict[str, Any], board: TensorBoardWriter | None) -> None:
        if self.context.is_main:
            self.logger.write({"step": self.step, **figures})
            if board is not None:
                board.write(self.step, figures)

    # --- validate -------------------------------------------------------------------------------------------

    def _validation_is_due(self) -> bool:
        if self.held_out is None:
            return False
        return self.step == self.steps or self.step % self.recipe.validation.every_steps == 0

    def _validate(self, bar: TrainingProgressBar, board: TensorBoardWriter | None) -> None:
        """Measure the model on held-out data, and keep the checkpoint if it is the best so far."""
        assert self.held_out is not None
        figures = validate(
            self.objective,
            self.parallel,
            self.held_out,
            self.recipe.validation,
            self.context,
            micro_batch_size=self.recipe.batch.micro_batch_size,
            num_workers=self.recipe.num_workers,
            bfloat16=self.bfloat16,
        )
        if self.context.is_main:
            self.logger.write({"step": self.step, "validation": figures})
            if board is not None:
                board.write(self.step, {f"validation/{name}": value for name, value in figures.items()})
        told = " · ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in figures.items())
        bar.message(f"validation at step {self.step}: {told}")
        if self.best.improves(self.step, figures) and self.step > 0:  # the start can be made anew
            self._save(best=True)
        self._begun = time.monotonic()

    def _stopped_early(self) -> bool:
        patience = self.recipe.validation.patience
        return patience is not None and self.best.since >= patience

    # --- save -----------------------------------------------------------------------------------------------

    def _save_when_due(self, saved: float, *, asked: bool) -> tuple[float, bool]:
        """Write a checkpoint if it is time → when the last was written, and whether the run is to stop."""
        config = self.recipe.checkpoints
        due = self.step == self.steps or self._stopped_early()
        due = due or (config.every_steps is not None and self.step % config.every_steps == 0)
        due = due or time.monotonic() - saved > 60 * config.every_minutes
        # By the clock of the first process; to stop, any of them may be asked.
        write, stop = self.context.sum(self.context.is_main and due, asked)
        if write or stop:
            self._save()
            saved = time.monotonic()
        return saved, stop > 0

    def _save(self, *, best: bool = False) -> None:
        error: TempoError | None = None
        main = self.context.is_main
        trained = {n: p.detach() for n, p in self.objective.named_parameters() if p.requires_grad}
        trained = full_tensor(trained, wanted=main)
        optimizers = [full_tensor(one.state_dict(), wanted=main) for one in self.optimizers.optimizers]
        if main:
            state = {
                "step": self.step,
                "trained": trained,
                "optimizers": optimizers,
                "skipped": self.skipped,
                "sizes": list(self.dataset.mixture.sizes),
                "losses": [self.first_loss, self.last_loss],
                "best": asdict(self.best),
            }
            try:
                if best:
                    self.checkpoints.save_best(state)
                else:
                    self.checkpoints.save(self.step, state)
            except TempoError as caught:
                error = caught
        self.context.raise_everywhere(error)

    def _restore(self) -> None:
        """Go back to the last checkpoint."""
        found = self.checkpoints.load()
        if found is not None:
            path, state = found
            if state["sizes"] != list(self.dataset.mixture.sizes):
                raise TempoError(f"{path}: the data has changed since; begin a new run with model.start")
            named = dict(self.objective.named_parameters())
            if set(state["trained"]) != {n for n, p in named.items() if p.requires_grad}:
                raise TempoError(f"{path}: was written with other trainable parameters than this recipe has")
            self._load_trained(state)
            for optimizer, kept in zip(self.optimizers.optimizers, state["optimizers"], strict=True):
                parameters = [p for group in optimizer.param_groups for p in group["params"]]
                for index, parameter in enumerate(parameters):
                    one = kept["state"].get(index, {})
                    one |= {key: redistribute(value, parameter) for key, value in one.items()}
                optimizer.load_state_dict(kept)
            self.step, self.skipped = state["step"], state["skipped"]
            self.first_loss, self.last_loss = state["losses"]
            self.best = BestCheckpoint(**state["best"])
        if self.context.is_main:
            self.logger.truncate(self.step if found is not None else -1)

    def _load_trained(self, state: dict[str, Any]) -> None:
        named = dict(self.objective.named_parameters())
        with torch.no_grad():
            for name, tensor in state["trained"].items():
                named[name].copy_(redistribute(tensor, named[name]))

    def _start(self) -> dict[str, Any]:
        """What is trained, as it was before the first step."""
        model = load_model(self.recipe, self.spec, self.context, bfloat16=self.bfloat16)
        objective = build_objective(self.recipe, model, self.spec.prompts).to(self.context.device)
        return {"trained": {n: p for n, p in objective.named_parameters() if p.requires_grad}}

    def _finish(self) -> None:
        """Write the model, whole or not at all: that of the best checkpoint where there was validation."""
        error: TempoError | None = None
        self.optimizers.release()  # the start is a second model on the device
        if self.held_out is not None:
            self._load_trained(self.checkpoints.load_best() or self._start())
        if self.parallel is self.objective and self.context.size > 1:
            state = full_tensor(dict(self.model.state_dict()), wanted=self.context.is_main)
            if self.context.is_main:
                self.model = model_init.model_of(self.spec.config, state)
        if self.context.is_main:
            try:
                write_result(
                    self.out,
                    self.recipe,
                    self.spec,
                    self.objective,
                    self.model,
                    generated=self.dataset.generated,
                )
            except OSError as caught:
                error = TempoError(
                    f"{self.out / MODEL}: could not be written ({caught.strerror or caught}); "
                    f"{self.checkpoints.files()[-1].name} is complete; free some space and resume"
                )
        self.context.raise_everywhere(error)
