"""The errors that a user can mend.

Whatever goes wrong because of something given from outside (a file, an option, a checkpoint) is raised as one
of these. The message is a single line that names the file or the option and says what to do; the command line
prints it behind ``tempo:`` and nothing else. Any other exception is a fault in tempo itself.
"""

import errno
import os


class TempoError(Exception):
    """Something outside tempo is wrong and the user can mend it. The command line exits with status 1."""


class UsageError(TempoError, ValueError):
    """An option or an argument has a value that can never work. The command line exits with status 2.

    It is a :class:`ValueError` too, so that Python callers can catch it as they would from any other library.
    """


class NoRoomError(TempoError):
    """What was watched cannot be kept in the place that was asked for; another place may have the room."""


class NoNumbersError(TempoError):
    """A model computed NaN or infinity: its dtype overflows, or its weights are damaged."""

    @classmethod
    def in_dtype(cls, dtype: object) -> "NoNumbersError":
        """What to do about it where the model computes in DTYPE."""
        name = str(dtype).removeprefix("torch.")
        do = "use --dtype bfloat16 or float32"
        if name != "float16":
            do = "its weights are probably damaged, so fetch them again"
        return cls(f"the model computed no numbers (NaN or infinity) in {name}; {do}")


class UnfamiliarVideoWarning(UserWarning):
    """The model knows other videos than the one that it is asked about; its answers may mean nothing."""


class ConversationFullError(TempoError):
    """A question does not fit behind the earlier ones of its conversation; a new one, or fewer turns, do."""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message}; begin a new conversation, or keep fewer turns")


def reason_of(error: OSError | ValueError) -> str:
    """What the system says of a file: one line, without its name."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def is_full(error: OSError) -> bool:
    """Whether it says that a disk, or a user's share of it, has no room left."""
    return error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)


def told(error: BaseException) -> str:
    """What to tell a user about ERROR, whatever it is: one line."""
    if isinstance(error, TempoError):
        return str(error)
    # By name: importing torch to compare classes would make every failure slow.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out of memory: lower --max-frames, keep nothing with --cache none, or choose another --device"
    if isinstance(error, OSError) and is_full(error):
        return f"something could not be written ({reason_of(error)}): make room on the disk"
    if isinstance(error, OSError) and isinstance(error.filename, str | bytes):
        return f"{os.fsdecode(error.filename)}: {reason_of(error)}; check the path and its permissions"
    return f"a fault in tempo itself: {type(error).__name__}: {error} (TEMPO_DEBUG=1 shows where)"
