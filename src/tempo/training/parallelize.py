"""A model over several processes: each has the whole (DDP) or a share of every layer (FSDP2)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import distribute_tensor

from .config import Parallel
from .distributed import Processes
from .objective import Learner


def shared(learner: Learner, among: Processes, how: Parallel, *, bfloat16: bool) -> nn.Module:
    """The learner such that gradients are the mean over all processes.

    With FSDP the language models' layers are sharded one by one. All else, the vision tower among it, is one
    more group, which is whole from the beginning of a step to its end.
    """
    if among.size == 1:
        return learner
    if how == "ddp":
        ids = [among.device.index] if among.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(learner, device_ids=ids, broadcast_buffers=False)
    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if bfloat16 else None,
        reduce_dtype=torch.float32,
        cast_forward_inputs=False,  # autocast does that, as it does without FSDP
    )
    mesh = init_device_mesh(among.device.type, (among.size,))
    # DTensor's caches keep a mesh for good, and the registry that newer meshes have would keep the group too.
    # Without it the group is found by name.
    getattr(mesh, "_pg_registry", {}).clear()
    for layer in [*learner.model.model.layers, *learner.model.compressor.vlm.language_model.layers]:
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(learner, mesh=mesh, mp_policy=policy)
    # Gathering a layer is a matter of all processes: each has to go through the compressor as often.
    learner.rounds = among.most
    return learner


def whole(value: Any, *, wanted: bool) -> Any:
    """A value, or a dictionary or list of them, with sharded tensors put together on the host.

    Every process has to call it; those that do not want the result do not keep it.
    """
    if isinstance(value, dict):
        return {key: whole(one, wanted=wanted) for key, one in value.items()}
    if isinstance(value, list):
        return [whole(one, wanted=wanted) for one in value]
    if isinstance(value, Tensor) and hasattr(value, "full_tensor"):
        full: Tensor = value.full_tensor().detach()
        return full.cpu() if wanted else None
    return value


def like(value: Tensor, parameter: Tensor) -> Tensor:
    """A whole tensor, sharded as `parameter` is, where that is sharded and has its shape."""
    if not hasattr(parameter, "device_mesh") or value.shape != parameter.shape:
        return value
    value = value.to(parameter.device)
    return distribute_tensor(value, parameter.device_mesh, parameter.placements)  # type: ignore[attr-defined]
