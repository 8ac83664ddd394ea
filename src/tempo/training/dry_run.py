"""A recipe checked without training: what is trained, what the data holds, how much memory a step takes.

Memory is not guessed: the model is built at its full size of tensors that have shapes and no values, a chunk
and a storyline go through it, and what autograd would keep is added up.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from tempo.errors import TempoError
from tempo.modeling import TempoQwenConfig, TempoQwenForCausalLM
from tempo.modeling.loading import empty_model
from tempo.processing.prompts import Prompts

from . import lora, model_init, optim
from .answer_objective import AnswerObjective
from .config import Recipe
from .data.dataset import MixtureDataset
from .data.sources import ConversationSource, NoSampleError
from .objective import parameters_by_group
from .run_setup import build_processor

FRAME = (1280, 720)  # width and height of the video that the estimate is for
OPENED_TOGETHER = 8  # files of samples
AHEAD = 1024  # records that wait to be opened
ANSWER_TOKENS = 64  # words of the question and the answer that it is for


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes on one device, without FSDP.

    Attributes:
        weights, gradients, optimizer_state: of parameters; the state is AdamW's two averages.
        chunk: activations of one chunk of segments, while its gradient is computed.
        decoder: what stays of the decoder's pass over the storylines that it reads side by side, and one of
            its layers computed again.
        memory_tokens: all memory tokens of the samples read together, and their gradients.
    """

    weights: int
    gradients: int
    optimizer_state: int
    chunk: int
    decoder: int
    memory_tokens: int

    @property
    def peak(self) -> int:
        """Chunks are gone through again when the decoder's activations are freed."""
        static = self.weights + self.gradients + self.optimizer_state + self.memory_tokens
        return static + max(self.chunk, self.decoder)


@dataclass(frozen=True)
class SourceReport:
    """What is in a source: its records, and those of them that cannot be used, by name with the reason.

    Attributes:
        records: how many there are; None: a factory makes them without end.
    """

    name: str
    records: int | None
    unusable: dict[str, str]

    @property
    def useless(self) -> bool:
        return self.records is not None and len(self.unusable) == self.records


def check_source(
    dataset: MixtureDataset, number: int, progress: Callable[[int, int], None] = lambda done, total: None
) -> SourceReport:
    """Read every sample of a source; of conversations the text, and the file without decoding it.

    Args:
        progress: called with (records read, records).
    """
    source, name = dataset.sources[number], dataset.names[number]
    size = source.size
    if size is None:
        return SourceReport(name, None, {})

    def check(index: int) -> str | None:
        try:
            if isinstance(source, ConversationSource):
                source.check(index)
            else:
                source.read(index, "check")
        except TempoError as error:
            return str(error)
        except NoSampleError:
            pass
        return None

    unusable = {}
    with ThreadPoolExecutor(OPENED_TOGETHER) as pool:
        for start in range(0, size, AHEAD):
            indices = range(start, min(start + AHEAD, size))
            for index, problem in zip(indices, pool.map(check, indices), strict=True):
                if problem is not None:
                    unusable[source.name(index)] = problem
                progress(index + 1, size)
    return SourceReport(name, size, unusable)


def _valueless(recipe: Recipe, config: TempoQwenConfig, mode: FakeTensorMode) -> TempoQwenForCausalLM:
    """The model as it would be trained, of tensors without values."""
    model = empty_model(TempoQwenForCausalLM, config)
    if config.tie_word_embeddings:
        model.lm_head.weight = model.model.embed_tokens.weight
    optim.set_trained(model, recipe.learning_rates)
    if recipe.lora is not None:
        lora.add_adapters(model, recipe.lora)
    made: dict[int, torch.nn.Parameter] = {}  # shared parameters stay shared
    frozen = torch.float32 if recipe.precision == "float32" else torch.bfloat16
    with mode:
        for module in model.modules():
            for name, old in module._parameters.items():
                if old is not None and id(old) not in made:
                    tensor = torch.empty(old.shape, dtype=torch.float32 if old.requires_grad else frozen)
                    made[id(old)] = torch.nn.Parameter(tensor, requires_grad=old.requires_grad)
                if old is not None:
                    module._parameters[name] = made[id(old)]
    return model.train()


def estimate_memory(
    recipe: Recipe, config: TempoQwenConfig, prompts: Prompts
) -> tuple[MemoryEstimate, dict[str, Any]]:
    """What a step takes on one device, and the parameters of each group (trained, all).

    Every sample is taken to be as long as the recipe allows, with as many questions.
    """
    geometry = config.make_geometry()
    vision: Any = config.compressor().vision_config
    grid = geometry.grid(config.segment_frames, *FRAME)
    frames = recipe.video.max_frames or config.max_frames
    segments = -(-frames // config.segment_frames)
    tokens = grid[1] * grid[2] // geometry.merge_size**2
    prompt = prompts.segment([float(frames)] * grid[0], tokens=tokens)
    chunk_size = recipe.batch.segment_chunk
    budget = recipe.budget.tokens or config.visual_token_budget
    questions = recipe.batch.max_questions
    stories = recipe.batch.micro_batch_size * questions  # what the decoder reads side by side
    patch = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    model = _valueless(recipe, config, mode)
    with mode:
        objective = AnswerObjective(model, recipe.budget, segment_chunk=chunk_size)
        figures = parameters_by_group(model)
        every = list(model.parameters())
        learning = [p for p in every if p.requires_grad]
        ids_SL = torch.zeros(chunk_size, len(prompt.ids), dtype=torch.long)
        bytes_SPC = torch.zeros(chunk_size, grid[0] * grid[1] * grid[2], patch, dtype=torch.uint8)
        ids_SRQ = torch.zeros(chunk_size, questions, ANSWER_TOKENS, dtype=torch.long)
        length_SR = torch.full((chunk_size, questions), ANSWER_TOKENS)
        bfloat16 = recipe.precision != "float32"
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            chunk = _kept(
                lambda: objective._compress(
                    bytes_SPC, ids_SL, ids_SRQ, length_SR, grid=grid, spans=prompt.spans
                )
            )
            length = min(budget, segments * config.num_compression_tokens) + 16 * segments + 2 * ANSWER_TOKENS
            story_BLU = torch.zeros(stories, length, config.hidden_size, requires_grad=True)
            layers = _kept(lambda: model.model(inputs_embeds=story_BLU, use_cache=False))
            one = model.model.layers[0]
            one.gradient_checkpointing = False
            rope = model.model.rotary_emb(story_BLU, torch.arange(length)[None])
            layer = _kept(lambda: one(story_BLU, position_embeddings=rope, attention_mask=None))
        size = sum(p.numel() * p.element_size() for p in learning)
        width = config.compressor().text_config.hidden_size
        return (
            MemoryEstimate(
                weights=sum(p.numel() * p.element_size() for p in every),
                gradients=size,
                optimizer_state=2 * size,
                chunk=chunk,
                decoder=layers + layer + 6 * stories * ANSWER_TOKENS * config.vocab_size,
                memory_tokens=4 * stories * segments * config.num_compression_tokens * width * 2,
            ),
            figures,
        )


def _kept(run: Callable[[], Any]) -> int:
    """Bytes that autograd keeps while `run` goes on, parameters left out, each storage once."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, torch.nn.Parameter):
            storage = tensor.untyped_storage()
            kept[storage._cdata] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = run()
    del result
    return sum(kept.values())


def one_step(recipe: Recipe, config: TempoQwenConfig, prompts: Prompts, *, depth: int = 1) -> float:
    """The loss of one step of the recipe's model with `depth` layers in each tower, on one clip of noise.

    It shows that everything fits together and that a gradient reaches every part that should learn.
    """
    import numpy as np

    from tempo.processing.batching import batches
    from tempo.training.data.processor import TrainingExample, block_of
    from tempo.video.video import Video

    small = model_init.reduced(config, depth=depth)
    torch.manual_seed(recipe.seed)
    model = TempoQwenForCausalLM(small)
    optim.set_trained(model, recipe.learning_rates)
    if recipe.lora is not None:
        lora.add_adapters(model, recipe.lora)
    spec = model_init.ModelSpec(small, prompts, Path(), Path())
    processor = replace(build_processor(recipe, spec), fps=small.fps, max_frames=4, min_frames=4)
    noise = np.random.default_rng(0).integers(0, 256, (4, 96, 160, 3), np.uint8)
    video = Video.from_frames(noise, fps=small.fps)
    blocks = [
        block_of(batch, processor.geometry)
        for batch in batches(
            video,
            video.sample(),
            prompts=prompts,
            geometry=processor.geometry,
            segment_frames=small.segment_frames,
            batch_size=1,
        )
    ]
    segments = sum(len(block.ids_SL) for block in blocks)
    example = TrainingExample(
        "noise",
        blocks,
        [prompts.timestamp(4.0 * n + 2) for n in range(segments)],
        [processor.question("What is it?", "Noise.", relevant=(True,) * segments)],
        seed="0",
    )
    objective = AnswerObjective(
        model.train(),
        recipe.budget,
        segment_chunk=1,
        relevance_weight=recipe.objective.relevance_weight,
    )
    counts, losses = objective.counts([example]), objective([example]).losses
    loss = sum(losses[name] * objective.loss_weights.get(name, 1.0) / counts[name] for name in losses)
    assert isinstance(loss, Tensor)
    loss.backward()
    silent = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    optim.Optimizers(
        optim.parameter_groups(objective, recipe.learning_rates, recipe.optimizer), recipe.optimizer
    ).step(1.0)
    if silent:
        raise TempoError(f"no gradient reaches {silent[0]}")
    return float(loss.detach())
