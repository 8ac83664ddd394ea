"""The model for transformers: its configuration, its classes, and how those are loaded and saved.

The networks themselves are in :mod:`tempo.networks`, which does not import transformers.

A tensor's name ends with its shape, one letter a dimension. Each letter means the same in the whole package:

=====  ======================================================================================
``S``  segments that go through the model together
``T``  frames of a segment
``I``  frames of all those segments, one after the other
``H``  height and ``W`` width of a frame
``C``  channels of a pixel, or all values of a patch
``F``  frame pairs of all those segments; a patch spans a pair
``N``  patches of a frame pair
``P``  patches of a segment
``V``  visual tokens of a segment: 2×2 patches each
``L``  tokens in a row
``Q``  tokens of a question
``M``  memory tokens of a segment; ``k`` of them are kept
``R``  questions about a segment or a video
``J``  tokens joined in a row: a question's and its memory tokens, or those of several heads
``B``  samples, or rows of a batch
``D``  width of the compressor
``U``  width of the decoder
``A``  attention heads that ask; ``G`` those with keys and values, which they share
``E``  width of a head
``K``  layers
``Z``  vocabulary
=====  ======================================================================================

Importing this package registers `tempo_qwen` with transformers' Auto classes, which have no entry point that
would find it without an import.
"""

from transformers import AutoConfig, AutoModelForCausalLM

from .configuration import TempoQwenConfig
from .tempo_qwen import TempoQwenForCausalLM

AutoConfig.register(TempoQwenConfig.model_type, TempoQwenConfig, exist_ok=True)
AutoModelForCausalLM.register(TempoQwenConfig, TempoQwenForCausalLM, exist_ok=True)

__all__ = ["TempoQwenConfig", "TempoQwenForCausalLM"]
