"""What the exit status of a process says, in words."""

import contextlib
import signal


def how_it_ended(status: int | None) -> str:
    """An exit status in words; None: it is not known. Negative ones name the signal."""
    if status is not None and status < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-status).name
            return f"{name}, often due to lack of memory" if name == "SIGKILL" else name
    return f"exit status {status}"
