"""Hands a model to processes of this machine, which share one copy of its weights.

The tensors lie in a file without a name that every process maps into its memory; the rest of the model is
pickled around them.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
import tempfile
from typing import Any

import torch
from torch import nn

_ALIGNMENT = 64


class SharedModel:
    """A pickled object whose tensors are shared, also with this process if they are on the CPU.

    Attributes:
        file: descriptor of the file with the tensors, for processes to inherit.
        pickled: the object without its tensors.
    """

    def __init__(self, shared: object) -> None:
        """Raises OSError: there is no room for a copy of the tensors."""
        self.file = _unnamed_file()
        tensors = _TensorWriter(self.file)
        try:
            self.pickled = tensors.dump(shared)
            tensors.adopt()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; who has mapped it keeps it."""
        os.close(self.file)


def load_shared(file: int, pickled: bytes) -> Any:
    """The object, with its tensors in the shared file."""
    return _TensorReader(file, pickled).load()


class _TensorWriter:
    def __init__(self, file: int) -> None:
        self._file, self._out = file, os.fdopen(os.dup(file), "wb")
        self._written: dict[int, tuple[Any, ...]] = {}
        self._alive: list[torch.Tensor] = []  # an id is a tensor's for as long as that lives

    def dump(self, shared: object) -> bytes:
        buffer = io.BytesIO()
        pickler = pickle.Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL)
        pickler.persistent_id = self._place  # type: ignore[method-assign]
        with self._out:
            pickler.dump(shared)
        return buffer.getvalue()

    def _place(self, found: object) -> tuple[Any, ...] | None:
        """Where a tensor lies in the file, once it does. None: it is something else."""
        if not isinstance(found, torch.Tensor):
            return None
        if id(found) not in self._written:
            self._out.write(bytes(-self._out.tell() % _ALIGNMENT))
            at = self._out.tell()
            data = found.detach().cpu().contiguous()
            if data.numel():
                self._out.write(memoryview(data.view(-1).view(torch.uint8).numpy()))  # type: ignore[arg-type]
            place = (at, data.dtype, tuple(data.shape), isinstance(found, nn.Parameter))
            self._written[id(found)] = place
            self._alive.append(found)
        return self._written[id(found)]

    def adopt(self) -> None:
        """Let the tensors themselves lie in the file, so that there is one copy in all."""
        memory = mmap.mmap(self._file, 0)
        for tensor in self._alive:
            at, dtype, shape, _ = self._written[id(tensor)]
            if tensor.device.type == "cpu" and tensor.numel():
                own = torch.frombuffer(memory, dtype=dtype, count=tensor.numel(), offset=at)
                tensor.data = own.view(shape)


class _TensorReader(pickle.Unpickler):
    def __init__(self, file: int, pickled: bytes) -> None:
        super().__init__(io.BytesIO(pickled))
        self._memory = mmap.mmap(file, 0)
        self._read: dict[int, torch.Tensor] = {}

    def persistent_load(self, place: tuple[Any, ...]) -> torch.Tensor:
        at, dtype, shape, is_parameter = place
        count = torch.Size(shape).numel()
        if not count:
            return torch.empty(shape, dtype=dtype)
        if at not in self._read:  # tied weights stay one tensor
            tensor = torch.frombuffer(self._memory, dtype=dtype, count=count, offset=at).view(shape)
            self._read[at] = nn.Parameter(tensor, requires_grad=False) if is_parameter else tensor
        return self._read[at]


def _unnamed_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("tempo-weights")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
