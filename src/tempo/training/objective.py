"""What a training run makes smaller: a model together with its losses, as one module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from tempo.modeling import TempoQwenForCausalLM

from .config import GROUPS

_PREFIXES = {
    "compressor.compression_tokens": "memory",
    "projector.": "projector",
    "compressor.vlm.visual.": "vision",
    "compressor.vlm.language_model.": "compressor",
    "model.": "decoder",
    "lm_head.": "decoder",
}


class ObjectiveOutput(NamedTuple):
    """What an objective makes of some samples. Everything is a sum, so that what processes and micro-batches
    have can be added up.

    Attributes:
        losses: by name; the trainer divides each by its count (`Objective.counts`).
        metrics: figures for people by name, as (sum, count).
        totals: how much there was of something, like `tokens`.
    """

    losses: dict[str, Tensor]
    metrics: dict[str, tuple[float, float]]
    totals: dict[str, float]


class Objective(nn.Module):
    """A model and the losses by which it learns.

    `forward` takes samples as the dataset has them → an `ObjectiveOutput`. In `eval` mode it measures:
    nothing in it is random then, and `metrics` may hold more.

    Attributes:
        loss_weights: of the losses by name, where that is not 1.
        own_group: the parameter group of what an objective has beside the model, like heads that are thrown
            away later.
        rounds: how often the process that needs it most goes through the compressor; FSDP sets it, since
            gathering a layer is a matter of all processes.
    """

    own_group = "vision"

    def __init__(self, model: TempoQwenForCausalLM) -> None:
        super().__init__()
        self.model = model
        self.loss_weights: dict[str, float] = {}
        self.rounds: Callable[[int], int] = int

    def counts(self, examples: Sequence[Any]) -> dict[str, float]:
        """Over what each loss is averaged, known before the losses are: here, over the samples."""
        return {"loss": float(len(examples))}

    def group_of(self, name: str) -> str:
        """The parameter group of a parameter of this module."""
        inner = name.removeprefix("model.")
        return group_of(inner) if inner != name else self.own_group

    def own_state(self) -> dict[str, Tensor]:
        """The tensors that an objective has beside the model; a later run may start with them."""
        return {n: t.detach() for n, t in self.state_dict().items() if not n.startswith("model.")}


def group_of(name: str) -> str:
    """The parameter group that a parameter of the model belongs to."""
    return next(group for prefix, group in _PREFIXES.items() if name.startswith(prefix))


def parameters_by_group(model: nn.Module) -> dict[str, tuple[int, int]]:
    """For every group how many parameters of the model are trained, and how many there are."""
    figures = dict.fromkeys(GROUPS, (0, 0))
    for name, parameter in model.named_parameters():
        trained, every = figures[group_of(name)]
        size = parameter.numel()
        figures[group_of(name)] = trained + size * parameter.requires_grad, every + size
    return figures
