"""Being nobody in particular: root may write where nobody else may."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_VERSION_3 = 0x20080522
_MAY_WRITE_ANYWHERE, _MAY_DO_WHAT_OWNERS_MAY = 1, 3  # CAP_DAC_OVERRIDE, CAP_FOWNER
_NOBODY = 65534


@contextmanager
def read_only(root: Path) -> Iterator[None]:
    """Let a folder with all in it be read and not written to, as if it were somebody else's."""
    paths = [root, *root.rglob("*")]
    as_root = os.name == "posix" and os.geteuid() == 0
    modes = {path: path.stat().st_mode for path in paths}
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
        if as_root:
            os.chown(path, _NOBODY, _NOBODY)
    try:
        if as_root:
            with _without(_MAY_WRITE_ANYWHERE, _MAY_DO_WHAT_OWNERS_MAY):
                yield
        else:
            yield
    finally:
        for path, mode in modes.items():
            if as_root:
                os.chown(path, 0, 0)
            path.chmod(mode)


@contextmanager
def _without(*capabilities: int) -> Iterator[None]:
    """Take capabilities of root's from this thread for a while."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    before = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable, twice
    if not hasattr(libc, "capget") or libc.capget(header, before):
        pytest.skip("root cannot become less here")
    fewer = (ctypes.c_uint32 * 6)(*before)
    for one in capabilities:
        fewer[0] &= ~(1 << one)
    assert libc.capset(header, fewer) == 0
    try:
        yield
    finally:
        assert libc.capset(header, before) == 0
