"""Muon in the dtype in which the machine multiplies fastest, matrices of one shape together.

torch's multiplies in bfloat16 wherever it runs. A processor without instructions for that takes fifty times
as long as in float32, and nine tenths of a small model's step.
"""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor

from tempo.devices import pick_dtype

# The quintic of Newton and Schulz whose slope at zero is largest, five times (Jordan and others, 2024,
# https://kellerjordan.github.io/posts/muon/): every singular value ends between about 0.7 and 1.2.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
TINY = 1e-7
RMS_OF_ADAMW = 0.2  # about that of AdamW's updates (Liu and others, 2025, arXiv 2502.16982)


def orthogonalized(matrices_MIO: Tensor, dtype: torch.dtype) -> Tensor:
    """Matrices [M, I, O] with their singular values brought near to 1, computed in `dtype`."""
    a, b, c = COEFFICIENTS
    tall = matrices_MIO.shape[1] > matrices_MIO.shape[2]
    x = (matrices_MIO.mT if tall else matrices_MIO).to(dtype)
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=TINY)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class Muon(torch.optim.Muon):
    """torch.optim.Muon with `adjust_lr_fn="match_rms_adamw"`, and its state."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one step with the gradients that are there."""
        for group in self.param_groups:
            alike: dict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike[parameter.shape].append((parameter, self._direction(parameter, group["momentum"])))
            for shape, members in alike.items():
                parameters, directions = zip(*members, strict=True)
                dtype = pick_dtype("auto", parameters[0].device)
                updates = orthogonalized(torch.stack(directions), dtype).to(parameters[0].dtype)
                rate = group["lr"] * RMS_OF_ADAMW * max(shape) ** 0.5
                torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(parameters, updates.unbind(), alpha=-rate)

    def _direction(self, parameter: Tensor, momentum: float) -> Tensor:
        """The gradient with Nesterov's momentum."""
        assert parameter.grad is not None
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter.grad)
        average: Tensor = state["momentum_buffer"].lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(average, momentum)
