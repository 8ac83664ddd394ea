"""The models: configuration, compressor, projector, decoder, and their checkpoints.

A tensor's name ends with its shape, one letter a dimension. The letters mean the same in the whole package:

=====  ==================================================================
``S``  segments that go through the model together
``F``  frame pairs of all those segments; a pair is what one patch spans
``N``  patches of a frame pair
``P``  patches of a segment
``C``  values of a patch
``V``  visual tokens of a segment; of logits, the vocabulary
``L``  tokens in a row
``Q``  tokens of a question
``M``  memory tokens of a segment; ``k`` of them are kept
``R``  questions about a segment or a video
``T``  tokens of a question and its memory tokens; of frames, time
``D``  width of the compressor
``U``  width of the decoder
``H``  query heads; of frames, their height
``G``  key-value heads
``E``  width of a head
``K``  layers
``B``  samples or rows of a batch
=====  ==================================================================

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
