"""A model over several processes: each has the whole (DDP) or a share of every layer (FSDP2)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import distribute_tensor

from .config import Parallel
from .distributed import DistributedContext
from .objective import Objective


def parallelize(
    objective: Objective, context: DistributedContext, parallel: Parallel, *, bfloat16: bool
) -> nn.Module:
    """The objective such that gradients are the mean over all processes.

    With FSDP the language models' layers are sharded one by one. All else, the vision tower among it, is one
    more group, which is whole from the beginning of a step to its end.
    """
    if context.size == 1:
        return objective
    if parallel == "ddp":
        ids = [context.device.index] if context.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(objective, device_ids=ids, broadcast_buffers=False)
    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if bfloat16 else None,
        reduce_dtype=torch.float32,
        cast_forward_inputs=False,  # autocast does that, as it does without FSDP
    )
    mesh = init_device_mesh(context.device.type, (context.size,))
    # DTensor's caches keep a mesh for good, and the registry that newer meshes have would keep the group too.
    # Without it the group is found by name.
    getattr(mesh, "_pg_registry", {}).clear()
    model = objective.model
    for layer in [*model.model.layers, *model.compressor.vlm.language_model.layers]:
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(objective, mesh=mesh, mp_policy=policy)
    # Gathering a layer is a matter of all processes: each has to go through the compressor as often.
    objective.rounds = context.max
    return objective


def full_tensor(value: Any, *, wanted: bool) -> Any:
    """A value, or a dictionary or list of them, with sharded tensors put together on the host.

    Every process has to call it; those that do not want the result do not keep it.
    """
    if isinstance(value, dict):
        return {key: full_tensor(one, wanted=wanted) for key, one in value.items()}
    if isinstance(value, list):
        return [full_tensor(one, wanted=wanted) for one in value]
    if isinstance(value, Tensor) and hasattr(value, "full_tensor"):
        full: Tensor = value.full_tensor().detach()
        return full.cpu() if wanted else None
    return value


def redistribute(value: Tensor, like: Tensor) -> Tensor:
    """A whole tensor, sharded as the parameter `like` is, where that is sharded and has its shape."""
    if not hasattr(like, "device_mesh") or value.shape != like.shape:
        return value
    value = value.to(like.device)
    return distribute_tensor(value, like.device_mesh, like.placements)  # type: ignore[attr-defined]
