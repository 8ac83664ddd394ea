"""A recipe looked at without training: what learns, what the data holds, what it takes.

Memory is not guessed: the model is built at its full size of tensors that have shapes and no values, a chunk
and a storyline go through it, and what autograd would keep is added up.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from tempo.errors import TempoError
from tempo.modeling import TempoQwenConfig, TempoQwenForCausalLM
from tempo.modeling.loading import empty_model
from tempo.processing.prompts import Prompts
from tempo.training.data.dataset import Draws
from tempo.training.data.llava import Records

from . import lora, model_init, optim
from .config import Recipe
from .objective import Learner

FRAME = (1280, 720)  # width and height of the video that the estimate is for
OPENED_TOGETHER = 8  # files of samples
AHEAD = 1024  # records that wait to be opened
ANSWER_TOKENS = 64  # words of the question and the answer that it is for


@dataclass(frozen=True)
class Memory:
    """Bytes on one device, without FSDP.

    Attributes:
        weights, gradients, moments: of parameters; `moments` are AdamW's.
        chunk: activations of one chunk of segments, while its gradient is computed.
        decoder: what stays of the decoder's pass over the storylines that it reads side by side, and one of
            its layers computed again.
        memory_tokens: all memory tokens of the samples read together, and their gradients.
    """

    weights: int
    gradients: int
    moments: int
    chunk: int
    decoder: int
    memory_tokens: int

    @property
    def peak(self) -> int:
        """Chunks are gone through again when the decoder's activations are freed."""
        static = self.weights + self.gradients + self.moments + self.memory_tokens
        return static + max(self.chunk, self.decoder)


@dataclass(frozen=True)
class SourceReport:
    """What is in a source: its records, and those of them that cannot be used, by name with the reason.

    Attributes:
        records: how many there are; None: they are drawn, without end.
    """

    name: str
    records: int | None
    unusable: dict[str, str]

    @property
    def useless(self) -> bool:
        return self.records is not None and len(self.unusable) == self.records


def check_source(
    draws: Draws, source: int, progress: Callable[[int, int], None] = lambda done, total: None
) -> SourceReport:
    """Read every record of a source and open its file, without decoding it. Addresses are not fetched.

    Args:
        progress: called with (records read, records).
    """
    records: Records | None = draws.records[source]
    name = draws.names[source]
    if records is None:
        return SourceReport(name, None, {})

    def check(index: int) -> str | None:
        try:
            record = records.read(index)
            if "://" not in record.media:
                draws.reader.check(record)
        except TempoError as error:
            return str(error)
        return None

    unusable = {}
    with ThreadPoolExecutor(OPENED_TOGETHER) as pool:
        for start in range(0, len(records), AHEAD):
            indices = range(start, min(start + AHEAD, len(records)))
            for index, problem in zip(indices, pool.map(check, indices), strict=True):
                if problem is not None:
                    unusable[records.name(index)] = problem
                progress(index + 1, len(records))
    return SourceReport(name, len(records), unusable)


def _valueless(recipe: Recipe, config: TempoQwenConfig, mode: FakeTensorMode) -> TempoQwenForCausalLM:
    """The model as it would be trained, of tensors without values."""
    model = empty_model(TempoQwenForCausalLM, config)
    if config.tie_word_embeddings:
        model.lm_head.weight = model.model.embed_tokens.weight
    optim.set_trained(model, recipe.train)
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


def memory(recipe: Recipe, config: TempoQwenConfig, prompts: Prompts) -> tuple[Memory, dict[str, Any]]:
    """What a step takes on one device, and the parameters of each part (learning, all).

    Every sample is taken to be as long as the recipe allows, with as many questions.
    """
    geometry = config.make_geometry()
    vision: Any = config.compressor().vision_config
    grid = geometry.grid(config.segment_frames, *FRAME)
    frames = recipe.video.max_frames or config.max_frames
    segments = -(-frames // config.segment_frames)
    tokens = grid[1] * grid[2] // geometry.merge_size**2
    prompt = prompts.segment([float(frames)] * grid[0], tokens=tokens)
    budget = recipe.budget.tokens or config.visual_token_budget
    questions = recipe.batch.questions
    stories = recipe.batch.together * questions  # what the decoder reads side by side
    patch = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    model = _valueless(recipe, config, mode)
    with mode:
        learner = Learner(model, recipe.budget, chunk=recipe.batch.chunk)
        figures = optim.parameters_by_part(model)
        every = list(model.parameters())
        learning = [p for p in every if p.requires_grad]
        ids_SL = torch.zeros(recipe.batch.chunk, len(prompt.ids), dtype=torch.long)
        bytes_SPC = torch.zeros(recipe.batch.chunk, grid[0] * grid[1] * grid[2], patch, dtype=torch.uint8)
        asked_SNQ = torch.zeros(recipe.batch.chunk, questions, ANSWER_TOKENS, dtype=torch.long)
        length_SN = torch.full((recipe.batch.chunk, questions), ANSWER_TOKENS)
        bfloat16 = recipe.precision != "float32"
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            chunk = _kept(
                lambda: learner._compress(
                    bytes_SPC, ids_SL, asked_SNQ, length_SN, grid=grid, spans=prompt.spans
                )
            )
            length = min(budget, segments * config.num_compression_tokens) + 16 * segments + 2 * ANSWER_TOKENS
            story_RLH = torch.zeros(stories, length, config.hidden_size, requires_grad=True)
            layers = _kept(lambda: model.model(inputs_embeds=story_RLH, use_cache=False))
            one = model.model.layers[0]
            one.gradient_checkpointing = False
            rope = model.model.rotary_emb(story_RLH, torch.arange(length)[None])
            layer = _kept(lambda: one(story_RLH, position_embeddings=rope, attention_mask=None))
        size = sum(p.numel() * p.element_size() for p in learning)
        width = config.compressor().text_config.hidden_size
        return (
            Memory(
                weights=sum(p.numel() * p.element_size() for p in every),
                gradients=size,
                moments=2 * size,
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
    from tempo.training.data.processor import Example, Reader, part_of
    from tempo.video.video import Video

    small = model_init.reduced(config, depth=depth)
    torch.manual_seed(recipe.seed)
    model = TempoQwenForCausalLM(small)
    optim.set_trained(model, recipe.train)
    if recipe.lora is not None:
        lora.add_adapters(model, recipe.lora)
    reader = Reader(prompts, small, small.make_geometry(), small.fps, 4, 4, recipe.batch.questions)
    noise = np.random.default_rng(0).integers(0, 256, (4, 96, 160, 3), np.uint8)
    video = Video.from_frames(noise, fps=small.fps)
    together = [
        part_of(batch, reader.geometry)
        for batch in batches(
            video,
            video.sample(),
            prompts=prompts,
            geometry=reader.geometry,
            segment_frames=small.segment_frames,
            batch_size=1,
        )
    ]
    segments = sum(len(part.ids_SL) for part in together)
    example = Example(
        "noise",
        together,
        [prompts.timestamp(4.0 * n + 2) for n in range(segments)],
        [reader.question("What is it?", "Noise.", relevant=(True,) * segments)],
        seed="0",
    )
    answers, routing, sums = Learner(model.train(), recipe.budget, chunk=1)([example])
    loss = answers / sums.answer_tokens + recipe.optimizer.routing * routing / max(1, sums.routed)
    loss.backward()
    groups = optim.groups(model.named_parameters(), recipe.train, recipe.optimizer)
    torch.optim.AdamW(groups, fused=True).step()
    silent = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    if silent:
        raise TempoError(f"no gradient reaches {silent[0]}")
    return float(loss.detach())
