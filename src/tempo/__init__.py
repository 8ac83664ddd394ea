"""Ask questions of long videos.

The public names are looked up when they are first used: importing tempo does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tempo.errors import TempoError, UnfamiliarVideoWarning, UsageError
from tempo.registration import register_with_transformers
from tempo.version import __version__

if TYPE_CHECKING:
    from tempo.answer import Answer
    from tempo.conversation import Conversation
    from tempo.engine import Tempo, load
    from tempo.session import Session
    from tempo.video import Video

_HOMES = {
    "Answer": "tempo.answer",
    "Conversation": "tempo.conversation",
    "Session": "tempo.session",
    "Tempo": "tempo.engine",
    "Video": "tempo.video",
    "load": "tempo.engine",
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

register_with_transformers()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tempo' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
