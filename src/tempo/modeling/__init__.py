"""The models: configuration, compressor, projector, decoder, and their checkpoints.

Importing this package registers `tempo_qwen` with transformers' Auto classes; :func:`tempo.load` does so by
itself. transformers has no entry point that would find it without an import.
"""

from transformers import AutoConfig, AutoModelForCausalLM

from .compressor import Compressor
from .configuration import TempoQwenConfig
from .tempo_qwen import TempoQwenForCausalLM

AutoConfig.register(TempoQwenConfig.model_type, TempoQwenConfig, exist_ok=True)
AutoModelForCausalLM.register(TempoQwenConfig, TempoQwenForCausalLM, exist_ok=True)

__all__ = ["Compressor", "TempoQwenConfig", "TempoQwenForCausalLM"]
