"""What the sources and objectives of tempo-nano's stages are given, without a recipe."""

from pathlib import Path

from research.nano.config import SYSTEM_PROMPT
from research.nano.packing import PackedPrompts
from tempo.checkpoints.checkpoint import load_prompts
from tempo.inference.engine import EMBEDDED
from tempo.modeling.loading import find_checkpoint
from tempo.processing.prompts import Prompts, TextEncoder, Wording
from tempo.training.data.processor import SampleProcessor
from tempo.training.data.sources import SourceContext


def nano_prompts(folder: Path = EMBEDDED) -> Prompts:
    return load_prompts(find_checkpoint(folder))


def prompts_of(tokenizer) -> Prompts:
    """The prompts of a tokenizer that is in no folder yet."""
    encoder = TextEncoder(tokenizer.backend_tokenizer, Path("tokenizer.json"))
    return Prompts(Wording(compressor_system=SYSTEM_PROMPT), compressor=encoder, decoder=encoder)


def context(*, seed: int, steps: int = 10, prompts: Prompts | None = None) -> SourceContext:
    source = find_checkpoint(EMBEDDED)
    config = source.config
    processor = SampleProcessor(
        prompts=prompts or load_prompts(source),
        config=config,
        geometry=config.make_geometry(),
        fps=config.fps,
        max_frames=config.max_frames,
        min_frames=config.min_frames,
        max_questions=4,
    )
    return SourceContext(processor, str(seed), steps)


def packed_prompts() -> PackedPrompts:
    return PackedPrompts(nano_prompts())
