"""A training run from its recipe to a folder that `tempo.load` opens."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tempo.devices import pick_dtype
from tempo.errors import TempoError, UsageError
from tempo.modeling import TempoQwenForCausalLM
from tempo.modeling.saving import save_model
from tempo.training.data.dataset import (
    ATTEMPTS,
    Drawn,
    Draws,
    Skipped,
    drawn_ahead,
)
from tempo.training.data.processor import Example, Reader

from . import lora, model_init, optim
from .checkpointing import States
from .config import Recipe
from .config_parsing import read_recipe
from .distributed import Processes, processes
from .lr_schedule import LRSchedule
from .metrics import Bar, Board, Log
from .objective import Learner, counts
from .parallelize import like, shared, whole
from .run_dir import (
    ADAPTER,
    LOG,
    MODEL,
    PART,
    RECIPE,
    STATES,
    begin,
)
from .signals import Stopping


@dataclass(frozen=True)
class Result:
    """What a run came to: its loss at its first and its last step, and where the model is."""

    first_loss: float
    last_loss: float
    steps: int
    skipped: int
    model: Path


def train(recipe: Recipe) -> Result:
    """Begin a run.

    Raises:
        TempoError: whatever of the recipe is not there or does not work.
        UsageError: there is a run in its folder already.
    """
    out = Path(recipe.out)
    with processes(recipe.device) as among:
        error: TempoError | None = None
        if among.first:
            try:
                begin(out, recipe)
            except TempoError as caught:
                error = caught
        among.agree(error)
        return Trainer(recipe, out, among).run()


def resume(out: Path) -> Result:
    """Go on with a run from its last checkpoint, or from its beginning where it has none yet.

    Raises:
        TempoError: there is no run, or its checkpoint is damaged.
    """
    if not (out / RECIPE).is_file():
        raise UsageError(f"{out}: there is no run to resume; a run's folder has a {RECIPE}")
    recipe = read_recipe(out / RECIPE)
    with processes(recipe.device) as among:
        return Trainer(recipe, out, among).run()


class Trainer:
    """One run in one process. Every process of a run has one and they move in step."""

    def __init__(self, recipe: Recipe, out: Path, among: Processes) -> None:
        self.recipe, self.out, self.among = recipe, out, among
        # Not told how many, MKL picks its threads anew for every product, and another order of summing gives
        # other bits: a run that is resumed would not be the run that went through.
        torch.set_num_threads(torch.get_num_threads())
        if recipe.batch.samples % among.size:
            raise UsageError(
                f"batch.samples={recipe.batch.samples} cannot be shared out to {among.size} processes; "
                "make it a multiple"
            )
        self.bfloat16 = recipe.precision == "bfloat16" or (
            recipe.precision == "auto" and pick_dtype("auto", among.device) == torch.bfloat16
        )
        self.planned = model_init.plan(recipe.model)
        self.draws = Draws(recipe.data, reader_of(recipe, self.planned), seed=recipe.seed)
        self.steps = steps_of(recipe, self.draws.size)
        self.model = self._model()
        self.learner = Learner(self.model, recipe.budget, chunk=recipe.batch.chunk)
        self.parallel = shared(self.learner, among, recipe.parallel, bfloat16=self.bfloat16)
        groups = optim.groups(self.model.named_parameters(), recipe.train, recipe.optimizer)
        self.optimizer = torch.optim.AdamW(groups, betas=recipe.optimizer.betas, fused=True)  # type: ignore[arg-type]
        schedule = recipe.schedule
        self.schedule = LRSchedule(self.steps, schedule.warmup, schedule.cooldown)
        self.states = States(out / STATES, keep=recipe.checkpoints.keep)
        self.log = Log(out / LOG)
        self.step = 0
        self.skipped: dict[str, str] = {}
        self.first_loss = self.last_loss = math.nan
        self._begun = time.monotonic()

    def _model(self) -> TempoQwenForCausalLM:
        recipe = self.recipe
        model = model_init.build(recipe.model, self.planned, device=self.among.device, seed=recipe.seed)
        optim.set_trained(model, recipe.train)
        if recipe.lora is not None:
            torch.manual_seed(recipe.seed)
            lora.add_adapters(model, recipe.lora)
        # FSDP wants one dtype a layer.
        if self.bfloat16 and not (recipe.parallel == "fsdp" and self.among.size > 1):
            optim.store_frozen(model, torch.bfloat16)
        return model.train()

    def run(self) -> Result:
        """Every step that is left, and then the model.

        Raises:
            KeyboardInterrupt: the run was asked to stop; there is a checkpoint of its last step.
        """
        self._restore()
        saved = self._begun = time.monotonic()
        board = self._board()
        bar = Bar(steps=self.steps, done=self.step, shown=self.among.first)
        try:
            with bar, Stopping() as stopping:
                batches = self._batches()
                while self.step < self.steps:
                    figures = self._one_step(next(batches), bar)
                    if self.among.first:
                        self.log.write({"step": self.step, **figures})
                        if board is not None:
                            board.write(self.step, figures)
                    bar.move(self.step, loss=figures["loss"], tokens_per_second=figures["tokens_per_second"])
                    saved, stop = self._save_when_due(saved, asked=stopping.asked)
                    if stop and self.step < self.steps:
                        bar.remark(f"step {self.step} is saved; go on with tempo train --resume {self.out}")
                        raise KeyboardInterrupt
        finally:
            if board is not None:
                board.close()
        self._finish()
        return Result(self.first_loss, self.last_loss, self.steps, len(self.skipped), self.out / MODEL)

    def _board(self) -> Board | None:
        if not (self.recipe.tensorboard and self.among.first):
            return None
        return Board(self.out / "tensorboard", step=self.step)

    def _batches(self) -> Iterator[list[Drawn]]:
        """This process's share of the samples of each step."""
        samples, share = self.recipe.batch.samples, self.recipe.batch.samples // self.among.size
        mine = range(self.among.rank * share, (self.among.rank + 1) * share)
        order = [step * samples + n for step in range(self.step, self.steps) for n in mine]
        drawn = drawn_ahead(self.draws, order, workers=self.recipe.workers)
        for _ in range(self.step, self.steps):
            yield [next(drawn) for _ in mine]

    def _one_step(self, drawn: list[Drawn], bar: Bar) -> dict[str, Any]:
        """Learn from one batch → figures for the log."""
        torch.manual_seed((self.recipe.seed * 1_000_003 + self.step) * 4099 + self.among.rank)
        skipped = [one for some in drawn for one in some.skipped]
        examples = [one.example for one in drawn if one.example is not None]
        answer_tokens, routed, lost, gone = self.among.add(
            *counts(examples), len(skipped), len(drawn) - len(examples)
        )
        if lost:
            self._note(skipped, bar)
        if gone:
            raise TempoError(
                f"{ATTEMPTS} samples in a row could not be read; the log in {self.log.path} names them"
            )
        totals = self._gradients(examples, answer_tokens, routed)
        answers, routing, tokens, visual = self.among.add(*totals)
        loss = answers / answer_tokens
        relevance = routing / routed if routed else 0.0
        clipped = torch.nn.utils.clip_grad_norm_(self._learning(), self.recipe.optimizer.clip)
        norm = float(whole(clipped, wanted=True))
        if not (math.isfinite(loss) and math.isfinite(relevance) and math.isfinite(norm)):
            self._refuse(examples, loss=loss, relevance=relevance, norm=norm)
        scale = self.schedule.scale(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = getattr(self.recipe.train, group["part"]) * scale
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.last_loss = loss
        if math.isnan(self.first_loss):
            self.first_loss = loss
        now = time.monotonic()
        seconds, self._begun = now - self._begun, now
        figures: dict[str, Any] = {"loss": loss}
        if routed:
            figures["routing"] = relevance
        return figures | {
            "grad_norm": norm,
            "lr_scale": scale,
            "answer_tokens": int(answer_tokens),
            "visual_tokens": int(visual),
            "tokens": int(tokens),
            "tokens_per_second": round(tokens / seconds, 1),
            "seconds": round(seconds, 3),
            "skipped": len(self.skipped),
        }

    def _gradients(
        self, examples: list[Example], answer_tokens: float, routed: float
    ) -> tuple[float, float, float, float]:
        """Add up the gradients of this process's share → sums of answers, routing, tokens, visual tokens."""
        together, totals = self.recipe.batch.together, [0.0] * 4
        for start in range(0, len(examples), together):
            last = start + together >= len(examples)
            waits = not last and isinstance(self.parallel, nn.parallel.DistributedDataParallel)
            with self.parallel.no_sync() if waits else nullcontext():  # type: ignore[operator]
                with torch.autocast(self.among.device.type, torch.bfloat16, enabled=self.bfloat16):
                    answers, routing, sums = self.parallel(examples[start : start + together])
                loss = answers / answer_tokens
                if routed:
                    loss = loss + self.recipe.optimizer.routing * routing / routed
                # Gradients become the mean over processes; each has its share of one sum.
                (loss * self.among.size).backward()
            figures = (answers.item(), routing.item(), sums.tokens, sums.visual_tokens)
            totals = [total + figure for total, figure in zip(totals, figures, strict=True)]
        return totals[0], totals[1], totals[2], totals[3]

    def _learning(self) -> list[nn.Parameter]:
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def _refuse(self, examples: list[Example], **figures: float) -> None:
        """Stop before a broken step is taken. The log names all of its batch, the message the first."""
        names = self.among.gather(example.name for example in examples)
        what, value = next((name, value) for name, value in figures.items() if not math.isfinite(value))
        if self.among.first:
            self.log.write({"step": self.step + 1, "not_finite": what, "batch": names})
        shown = ", ".join(names[:8])
        if len(names) > 8:
            shown += f" and {len(names) - 8} more, in {self.log.path}"
        raise TempoError(
            f"step {self.step + 1}: the {what} is {value}; its batch: {shown}; look at these samples, or "
            f"lower the learning rates; the last checkpoint in {self.states.folder} is from before"
        )

    def _note(self, skipped: list[Skipped], bar: Bar) -> None:
        """Name what could not be read; stop where it is too much."""
        for one in self.among.gather(skipped):
            if one.name in self.skipped:
                continue
            self.skipped[one.name] = one.reason
            if self.among.first:
                self.log.write({"step": self.step + 1, "skipped_sample": one.name, "reason": one.reason})
            bar.remark(f"skipped {one.name}: {one.reason}")
            limit = self.recipe.skip_limit
            if len(self.skipped) > limit:
                raise TempoError(
                    f"{len(self.skipped)} samples could not be read and skip_limit is {limit}; "
                    f"the last: {one.name}: {one.reason}"
                )

    def _save_when_due(self, saved: float, *, asked: bool) -> tuple[float, bool]:
        """Write a checkpoint if it is time → when the last was written, and whether the run is to stop."""
        every = self.recipe.checkpoints.steps
        due = self.step == self.steps or (every is not None and self.step % every == 0)
        due = due or time.monotonic() - saved > 60 * self.recipe.checkpoints.minutes
        # By the clock of the first process; to stop, any of them may be asked.
        write, stop = self.among.add(self.among.first and due, asked)
        if write or stop:
            self._save()
            saved = time.monotonic()
        return saved, stop > 0

    def _save(self) -> None:
        error: TempoError | None = None
        learnt = {n: p.detach() for n, p in self.model.named_parameters() if p.requires_grad}
        learnt = whole(learnt, wanted=self.among.first)
        optimizer = whole(self.optimizer.state_dict(), wanted=self.among.first)
        if self.among.first:
            state = {
                "step": self.step,
                "learnt": learnt,
                "optimizer": optimizer,
                "skipped": self.skipped,
                "sizes": list(self.draws.mixture.sizes),
                "losses": [self.first_loss, self.last_loss],
            }
            try:
                self.states.save(self.step, state)
            except TempoError as caught:
                error = caught
        self.among.agree(error)

    def _restore(self) -> None:
        """Go back to the last checkpoint."""
        found = self.states.load()
        if found is not None:
            path, state = found
            if state["sizes"] != list(self.draws.mixture.sizes):
                raise TempoError(f"{path}: the data has changed since; begin a new run with model.start")
            named = dict(self.model.named_parameters())
            if set(state["learnt"]) != {n for n, p in named.items() if p.requires_grad}:
                raise TempoError(f"{path}: other parameters were trained than this recipe says")
            with torch.no_grad():
                for name, tensor in state["learnt"].items():
                    named[name].copy_(like(tensor, named[name]))
            for index, parameter in enumerate(self._learning()):
                kept = state["optimizer"]["state"].get(index, {})
                kept |= {key: like(value, parameter) for key, value in kept.items()}
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.skipped = state["step"], state["skipped"]
            self.first_loss, self.last_loss = state["losses"]
        if self.among.first:
            self.log.cut(self.step)

    def _finish(self) -> None:
        """Write the model, whole or not at all."""
        error: TempoError | None = None
        if self.parallel is self.learner and self.among.size > 1:
            state = whole(dict(self.model.state_dict()), wanted=self.among.first)
            if self.among.first:
                self.model = model_init.filled(self.planned.config, state)
        if self.among.first:
            try:
                self._export()
            except OSError as caught:
                shutil.rmtree(self.out / PART, ignore_errors=True)
                error = TempoError(
                    f"{self.out / MODEL}: could not be written ({caught.strerror or caught}); "
                    f"{self.states.files()[-1].name} is whole, so make room and resume"
                )
        self.among.agree(error)

    def _export(self) -> None:
        """Write adapters, if there are, and the whole model with them merged."""
        if self.recipe.lora is not None:
            lora.save_adapter(self.model, self.recipe.lora, self.out / ADAPTER)
            lora.merge(self.model)
        part = self.out / PART
        shutil.rmtree(part, ignore_errors=True)
        model = self.model.eval().to(getattr(torch, self.recipe.save))
        if any(source.world is None for source in self.recipe.data):
            model.config.trained_on = None  # what the films of a file show, only their owner knows
        save_model(
            model,
            part,
            tokenizer=self.planned.tokenizer,
            compressor_tokenizer=self.planned.compressor_tokenizer,
        )
        shutil.rmtree(self.out / MODEL, ignore_errors=True)
        part.rename(self.out / MODEL)


def steps_of(recipe: Recipe, records: int) -> int:
    """Optimiser steps: as the recipe says, or as many as its epochs take."""
    if recipe.schedule.steps is not None:
        return recipe.schedule.steps
    assert recipe.schedule.epochs is not None
    return max(1, math.ceil(recipe.schedule.epochs * records / recipe.batch.samples))


def reader_of(recipe: Recipe, planned: model_init.Plan) -> Reader:
    """What makes examples of samples, as the recipe and the model say."""
    config, video = planned.config, recipe.video
    return Reader(
        prompts=planned.prompts,
        config=config,
        geometry=config.make_geometry(),
        fps=video.fps or config.fps,
        max_frames=video.max_frames or config.max_frames,
        min_frames=video.min_frames or config.min_frames,
        questions=recipe.batch.questions,
    )
