"""Ask questions of long videos.

The public names are looked up when they are first used: importing tempo does not import torch.
"""

import os
import sys
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tempo.errors import TempoError, UnfamiliarVideoWarning, UsageError
from tempo.version import __version__

if TYPE_CHECKING:
    from tempo.inference.engine import Tempo
    from tempo.inference.results import Answer
    from tempo.inference.session import Conversation, Session
    from tempo.loader import load
    from tempo.video.video import Video

_HOMES = {
    "Answer": "tempo.inference.results",
    "Conversation": "tempo.inference.session",
    "Session": "tempo.inference.session",
    "Tempo": "tempo.inference.engine",
    "Video": "tempo.video.video",
    "load": "tempo.loader",
}

__all__ = [
    "Answer",
    "Conversation",
    "Session",
    "Tempo",
    "TempoError",
    "UnfamiliarVideoWarning",
    "UsageError",
    "Video",
    "__version__",
    "load",
]


# Torch's threads wait for one another many times in an answer. They spin meanwhile, unless told otherwise
# before torch is imported, and where another program wants a core too, that takes the time slice of the
# thread which is waited for: a question takes twice as long, or much longer.
if "torch" not in sys.modules:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tempo' has no attribute {name!r}")
    with warnings.catch_warnings():
        # tqdm, which comes with dependencies, says in notebooks that it misses widgets; tempo uses none.
        warnings.filterwarnings("ignore", "IProgress not found")
        value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
