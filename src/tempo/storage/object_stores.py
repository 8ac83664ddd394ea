"""Filesystems behind addresses like ``s3://bucket/film.mp4``, by fsspec and the packages that it knows."""

from __future__ import annotations

import re
from typing import Any

from tempo.errors import TempoError

# What may be read and written by address. Others of fsspec's (archives, git, local paths under another name)
# are of no use for videos, and would let an address reach what it should not.
SCHEMES = frozenset(
    {
        "s3",
        "s3a",
        "gs",
        "gcs",
        "az",
        "abfs",
        "abfss",
        "adl",
        "hdfs",
        "webhdfs",
        "hf",
        "oci",
        "oss",
        "sftp",
        "memory",
    }
)


def scheme_of(path: str) -> str:
    """The scheme of an address in lower case, "" for a path."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", path)
    return found[1].lower() if found else ""


def is_object_store(path: str) -> bool:
    """Whether PATH is an address of one of SCHEMES."""
    return scheme_of(path) in SCHEMES


def without_password(address: str) -> str:
    """An address to be shown. What stands before @ may be a container's name, so only a password goes."""
    return re.sub(r"(?<=://)([^/?#@:]*):[^/?#@]*@", r"\1@", address, count=1)


def opened(address: str) -> tuple[Any, str]:
    """fsspec's filesystem of an address, and the path in it.

    Raises:
        TempoError: its package is not installed, or it cannot be reached.
    """
    from fsspec.core import url_to_fs

    try:
        filesystem, path = url_to_fs(address)
    except ImportError as error:
        raise TempoError(f"{without_password(address)}: {' '.join(str(error).split())}") from error
    except Exception as error:  # of whatever package is behind it
        raise TempoError(unusable(address, error)) from error
    return filesystem, path


def unusable(address: str, error: Exception) -> str:
    """One line about an error of a filesystem, whose packages have errors of their own."""
    address = without_password(address)
    if isinstance(error, FileNotFoundError):
        return f"{address}: no such file; check the address"
    if isinstance(error, PermissionError):
        return f"{address}: the filesystem refuses access; check the address and the credentials"
    reason = " ".join(str(error).split()) or type(error).__name__
    return f"{address}: the filesystem fails ({reason}); check the address, the network and the credentials"
