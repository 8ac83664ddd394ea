"""Models without memory: parameters on the meta device, for weights that are read afterwards."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

# What modules make parameters with. Tables are made with others (arange, tensor), and zeros may be read.
_FOR_PARAMETERS = frozenset({torch.empty, torch.ones, torch.randn})


class _ParametersOnMeta(TorchFunctionMode):
    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(function, "__module__", None) == nn.init.__name__:
            # No first values for what has no memory; drawing some there would import torch's compiler.
            return args[0] if args else kwargs["tensor"]
        # An empty tensor is how transformers asks where it builds; on meta it draws no first values.
        asks = function is torch.tensor and len(args) == 1 and isinstance(args[0], list) and not args[0]
        if (asks or function in _FOR_PARAMETERS) and kwargs.get("device") is None:
            kwargs = kwargs | {"device": "meta"}
        return function(*args, **kwargs)


def parameters_on_meta() -> TorchFunctionMode:
    """Within this context modules are built with parameters on the meta device; what they compute is real.

    The rotary tables are such computed buffers, which is why `torch.device("meta")` would not do. Like that,
    it is a mode of torch, which only the thread that entered it sees: a patch of `nn.Module` would reach into
    the modules that other threads build meanwhile, and stay if two threads left it in another order than
    they came.
    """
    return _ParametersOnMeta()
