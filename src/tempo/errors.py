"""The errors that a user can fix.

Code raises one of these for everything wrong with its input: a file, an option, a checkpoint. The message is
one line that names the file or option and says what to do; the command line prints only this line, prefixed
with ``tempo:``. Any other exception is a bug in tempo.
"""

import errno
import os


class TempoError(Exception):
    """The user can fix the cause. The command line exits with status 1."""


class UsageError(TempoError, ValueError):
    """An option or argument has a value that can never work. The command line exits with status 2.

    It is a :class:`ValueError` too, as Python callers expect from a library.
    """


class MissingModelError(TempoError):
    """There is no such folder, and the hub does not have the model or cannot be reached."""


class NoRoomError(TempoError):
    """The watched video does not fit into the chosen cache; another cache may have room."""


class NonFiniteError(TempoError):
    """The model computed NaN or infinity: its dtype overflows, or its weights are damaged."""

    @classmethod
    def in_dtype(cls, dtype: object) -> "NonFiniteError":
        """The error of a model that computes in DTYPE, with advice for that dtype."""
        name = str(dtype).removeprefix("torch.")
        do = "use --dtype bfloat16 or float32"
        if name != "float16":
            do = "its weights are probably damaged; download them again"
        return cls(f"the model computed NaN or infinity in {name}; {do}")


class UnfamiliarVideoWarning(UserWarning):
    """The model was not trained for this kind of video; its answers may be meaningless."""


class ConversationFullError(TempoError):
    """The context has no room for another question after the earlier turns of the conversation."""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message}; start a new conversation, or keep fewer turns")


def reason_of(error: OSError | ValueError) -> str:
    """The system's reason for an error with a file: one line, without the file's name."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def is_full(error: OSError) -> bool:
    """Whether a disk, or the user's quota of it, is full."""
    return error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)


def describe(error: BaseException) -> str:
    """Any error as one line for a user."""
    if isinstance(error, TempoError):
        return str(error)
    # By name: importing torch to compare classes would slow down every failure.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out of memory: lower --max-frames, set --cache none, or choose another --device"
    if isinstance(error, OSError) and is_full(error):
        return f"cannot write a file ({reason_of(error)}): free some disk space"
    if isinstance(error, OSError) and isinstance(error.filename, str | bytes):
        return f"{os.fsdecode(error.filename)}: {reason_of(error)}; check the path and its permissions"
    return f"bug in tempo: {type(error).__name__}: {error} (TEMPO_DEBUG=1 shows the traceback)"
