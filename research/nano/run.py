"""One training run on disk: optimiser, schedule, log, and checkpoints that a killed run resumes from."""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from tempo.devices import pick_device, pick_dtype
from tempo.training.lr_schedule import LRSchedule


def device_of(name: str) -> torch.device:
    """Where steps are taken: "cpu", "cuda", or "auto", a GPU if there is one. It may multiply in TF32 from
    then on.

    Raises:
        TempoError: there is none.
    """
    device = pick_device("cpu" if name == "auto" and not torch.cuda.is_available() else name)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    return device


def autocast(device: torch.device) -> torch.autocast:
    """Where matrices are multiplied in bfloat16, on processors that are faster in it. On a GPU steps this
    small wait for launches, of which casts are more."""
    fast = device.type == "cpu" and pick_dtype("auto", device) is torch.bfloat16
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)


def parameter_groups(
    module: nn.Module, lr: float, *, decay: float, muon: bool = False
) -> list[dict[str, Any]]:
    """Groups for `Run`: matrices decay, vectors and embeddings do not. Frozen parameters are left out.

    Args:
        muon: matrices go to Muon (Jordan, 2024) instead of AdamW, and the rest learns at a third of `lr`.
    """
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            is_matrix = parameter.ndim == 2 if muon else parameter.ndim >= 2
            (matrices if is_matrix and "embed" not in name else rest).append(parameter)
    return [
        {"params": matrices, "lr": lr, "weight_decay": decay, "muon": muon},
        {"params": rest, "lr": lr / 3 if muon else lr, "weight_decay": 0.0},
    ]


def _optimizers(groups: list[dict[str, Any]]) -> list[torch.optim.Optimizer]:
    by_muon = [group for group in groups if group.get("muon")]
    others = [group for group in groups if not group.get("muon")]
    found: list[torch.optim.Optimizer] = []
    if others:
        found.append(torch.optim.AdamW(others, betas=(0.9, 0.98), fused=True))
    if by_muon:
        found.append(torch.optim.Muon(by_muon, adjust_lr_fn="match_rms_adamw"))
    return found


class Run:
    """Steps an optimiser, writes `log.jsonl` and keeps `checkpoint.pt`, written whole or not at all, in
    `folder`."""

    def __init__(
        self,
        folder: Path,
        module: nn.Module,
        groups: list[dict[str, Any]],
        schedule: LRSchedule,
        *,
        save_seconds: float = 180,
        log_every: int = 20,
    ) -> None:
        self.folder, self.module, self.schedule = folder, module, schedule
        self.save_seconds, self.log_every = save_seconds, log_every
        self.optimizers = _optimizers(groups)
        self._groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        self._base = [group["lr"] for group in self._groups]
        self.step = 0
        self._seen: dict[str, list[float]] = {}

    @property
    def steps(self) -> int:
        return self.schedule.steps

    def __enter__(self) -> Run:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "checkpoint.pt"
        if path.exists():
            state = torch.load(path, map_location="cpu", weights_only=True)
            self.module.load_state_dict(state["module"])
            for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(kept)
            self._groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
            self.step = state["step"]
        self._saved = self._logged = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.save()

    def update(self, loss: Tensor, figures: dict[str, float]) -> None:
        """One step down `loss`; `figures` are averaged into the log. ValueError on a loss that is not
        finite."""
        value = loss.item()
        if not math.isfinite(value):
            raise ValueError(f"the loss of step {self.step} is {value}; lower the learning rate")
        for group, lr in zip(self._groups, self._base, strict=True):
            group["lr"] = lr * self.schedule.scale(self.step)
        self.module.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        for name, figure in {"loss": value, "norm": norm.item(), **figures}.items():
            if math.isfinite(figure):
                self._seen.setdefault(name, []).append(figure)
        if self.step % self.log_every == 0:
            self._log()
        if time.monotonic() - self._saved > self.save_seconds:
            self.save()

    def _log(self) -> None:
        now = time.monotonic()
        record: dict[str, float] = {
            "step": self.step,
            "seconds_a_step": round((now - self._logged) / len(self._seen["loss"]), 3),
        }
        record |= {name: round(sum(figures) / len(figures), 4) for name, figures in self._seen.items()}
        with (self.folder / "log.jsonl").open("a") as stream:
            stream.write(json.dumps(record) + "\n")
        print(record, flush=True)
        self._seen, self._logged = {}, now

    def save(self) -> None:
        """Write the checkpoint beside its place and move it there, so that a kill leaves the old one or the
        new one."""
        state = {
            "module": self.module.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
        }
        path = self.folder / "checkpoint.pt"
        torch.save(state, path.with_suffix(".part"))
        os.replace(path.with_suffix(".part"), path)
        self._saved = time.monotonic()
