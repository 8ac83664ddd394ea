"""The models: configuration, compressor, projector, decoder, and their checkpoints.

Importing this package makes `tempo_qwen` known to transformers' Auto classes.
"""

from transformers import AutoConfig, AutoModelForCausalLM

from tempo.modeling.compressor import Compressor
from tempo.modeling.configuration import TempoQwenConfig
from tempo.modeling.tempo_qwen import TempoQwenForCausalLM

AutoConfig.register(TempoQwenConfig.model_type, TempoQwenConfig, exist_ok=True)
AutoModelForCausalLM.register(TempoQwenConfig, TempoQwenForCausalLM, exist_ok=True)

__all__ = ["Compressor", "TempoQwenConfig", "TempoQwenForCausalLM"]
