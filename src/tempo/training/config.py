"""What a training run is: every field of a recipe, with what it means.

The comment behind a field is not decoration: `doc(...)` is what `tempo train --fields` prints, what
docs/recipes.md holds (a test compares them).
"""

# ruff: noqa: RUF009 - doc() is dataclasses.field and nothing else

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal, get_args, get_type_hints

PARTS = ("memory", "projector", "vision", "compressor", "decoder")
Allocation = Literal["adaptive", "uniform"]
Parallel = Literal["ddp", "fsdp"]
Precision = Literal["auto", "float32", "bfloat16"]
Dtype = Literal["float32", "bfloat16"]
LoraPart = Literal["vision", "compressor", "decoder"]


def doc(text: str, default: Any = None, *, factory: Any = None) -> Any:
    """A field with its documentation, and the default that it has."""
    if factory is not None:
        return field(default_factory=factory, metadata={"doc": text})
    return field(default=default, metadata={"doc": text})


@dataclass(frozen=True, kw_only=True)
class ModelPart:
    """Where the weights come from: a Tempo checkpoint, or the two base models that a new one is made of."""

    start: str | None = doc(
        "A Tempo checkpoint to go on from: folder or hub name, in either layout; `nano` is the embedded "
        "model. Null: a new model is made of `compressor` and `decoder`."
    )
    base: str | None = doc("The base model of a published checkpoint, where it is not found by itself.")
    compressor: str | None = doc(
        "The Qwen3-VL model that becomes the compressor of a new model: folder or hub name; `nano-base` is "
        "the one in the package."
    )
    decoder: str | None = doc(
        "The Qwen3 model that becomes the decoder of a new model. Null: the compressor's own language model "
        "is copied."
    )
    config: dict[str, Any] = doc(
        "Fields of the new model's configuration beside those of its decoder: `num_compression_tokens`, "
        "`mm_projector_type`, `min_tokens`, `visual_token_budget`, `segment_frames`, `fps`, `max_frames`, "
        "`geometry`, `prompts` …",
        factory=dict,
    )


@dataclass(frozen=True, kw_only=True)
class Rates:
    """The learning rate of each part. Null: the part is frozen."""

    memory: float | None = doc("The memory tokens' embeddings, one shared parameter.")
    projector: float | None = doc("Between the compressor and the decoder.")
    vision: float | None = doc("The compressor's vision tower with its mergers.")
    compressor: float | None = doc("The compressor's language model.")
    decoder: float | None = doc("The language model that answers.")


@dataclass(frozen=True, kw_only=True)
class Lora:
    """Low-rank adapters in place of full training."""

    rank: int = doc("Rank of every adapter.", 16)
    alpha: float = doc("Scale: an adapter's output counts `alpha / rank` times.", 32.0)
    dropout: float = doc("Share of an adapter's inputs that are dropped in training.", 0.0)
    parts: tuple[LoraPart, ...] = doc(
        "Parts whose linear layers get adapters. Their learning rate is that of the adapters; "
        "their own weights stay.",
        ("compressor", "decoder"),
    )


@dataclass(frozen=True, kw_only=True)
class World:
    """Clips that are drawn while training runs, with questions whose answers are known."""

    segments: tuple[int, ...] = doc("How many segments a clip may have; one of them is drawn.", (1, 2, 3))
    questions: int = doc("Questions about a clip, at most.", 4)
    choice: float = doc("Share of the questions that are multiple choice.", 0.3)
    describe: bool = doc("Whether clips of one or two segments are also to be described.", True)
    wide: float = doc(
        "Share of the clips that are of the wide world: pictures of hundreds of things, signs, changes.", 0.0
    )


@dataclass(frozen=True, kw_only=True)
class Source:
    """One source of samples."""

    path: str | None = doc(
        "A JSON or JSONL file of conversations. Lines of a JSONL are read when they are needed; "
        "the file is never in memory."
    )
    media: str | None = doc("The folder that its `image` and `video` paths start from. Null: the file's own.")
    world: World | None = doc("Drawn clips instead of a file.")
    weight: float = doc("How often this source is drawn from, relative to the others.", 1.0)
    name: str | None = doc("What the log calls it. Null: the file's name, or `world`.")


@dataclass(frozen=True, kw_only=True)
class Watching:
    """Which frames of a sample are watched. Null: as the model's configuration says."""

    fps: float | None = doc("Frames a second.")
    max_frames: int | None = doc("Frames of one video at most; above that evenly spread.")
    min_frames: int | None = doc("Frames of one video at least.")


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How many memory tokens the decoder reads."""

    tokens: int | None = doc("Memory tokens of a whole video at most. Null: the model's own budget.")
    allocation: Allocation = doc(
        "`adaptive`: by relevance, as answers are given; `uniform`: the same for every segment.", "adaptive"
    )
    random: float = doc(
        "Share of the questions for which every segment keeps a random number of tokens instead, so that the "
        "first ones come to carry the most.",
        0.5,
    )


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long, and how the learning rates move."""

    steps: int | None = doc("Optimiser steps. Null: `epochs` says.")
    epochs: float | None = doc(
        "Passes over the data instead of `steps`: as many samples as all files together have records."
    )
    warmup: int = doc("Steps in which the learning rates rise from zero.", 10)
    cooldown: float = doc("Share of the steps at the end in which they fall to zero.", 0.4)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """How much goes into a step, and how much of it through the model at once."""

    samples: int = doc("Samples a step, over all processes.", 8)
    together: int = doc("Samples that go through the model together; the rest of a step is accumulated.", 1)
    chunk: int = doc(
        "Segments that are compressed together. Their activations are recomputed for the gradient, so memory "
        "grows with this number and not with the length of the video.",
        8,
    )
    questions: int = doc("Turns of one conversation that are learnt from at once, at most.", 4)


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """AdamW."""

    weight_decay: float = doc("On matrices; vectors and embeddings have none.", 0.05)
    betas: tuple[float, ...] = doc("Decay of the two moments.", (0.9, 0.98))
    clip: float = doc("Largest norm of the gradient.", 1.0)
    routing: float = doc(
        "Weight of the loss on relevance, for samples that say which moments their questions are about "
        "(`evidence`, and drawn clips); 0 leaves it out.",
        0.5,
    )


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """What a run can be resumed from."""

    steps: int | None = doc("Write one every so many steps.")
    minutes: float = doc("Write one when the last is this old.", 10.0)
    keep: int = doc("How many are kept.", 2)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One training run."""

    out: str = doc("The run's folder: log, checkpoints, and in the end the model.", "runs/train")
    seed: int = doc("Of the order of the samples and of everything else that is drawn.", 1)
    model: ModelPart = doc("Where the weights come from.", factory=ModelPart)
    train: Rates = doc("What is trained, and how fast: the learning rate of each part.", factory=Rates)
    lora: Lora | None = doc("Adapters in place of full training. Null: full training.")
    data: tuple[Source, ...] = doc("The mixture of sources.", ())
    video: Watching = doc("Which frames are watched.", factory=Watching)
    budget: Budget = doc("How many memory tokens the decoder reads.", factory=Budget)
    schedule: Schedule = doc("How long.", factory=Schedule)
    batch: Batch = doc("How much at once.", factory=Batch)
    optimizer: Optimizer = doc("AdamW.", factory=Optimizer)
    checkpoints: Checkpoints = doc("What a run resumes from.", factory=Checkpoints)
    precision: Precision = doc(
        "`bfloat16`: matrices are multiplied in it, trained weights are kept in float32 and frozen ones in "
        "bfloat16. `float32`: everything. `auto`: bfloat16 on a GPU and on processors that compute in it.",
        "auto",
    )
    save: Dtype = doc("In what the finished model is written.", "bfloat16")
    parallel: Parallel = doc(
        "With several processes: `ddp`, each has the whole model; `fsdp`, each has a share of every layer "
        "(FSDP2).",
        "ddp",
    )
    device: str = doc("`auto`: a GPU for each process if there are, else the CPU.", "auto")
    workers: int = doc("Processes that read samples ahead, for each training process; 0: none.", 1)
    skip_limit: int = doc(
        "Samples that may turn out to be unreadable before the run stops. Each is named in the log.", 10
    )
    tensorboard: bool = doc("Write the log for TensorBoard too, in the run's folder.", False)


def documented(kind: type = Recipe, prefix: str = "") -> list[tuple[str, str, str, str]]:
    """Every field as (dotted name, type, default, what it means), the fields of the fields behind theirs."""
    rows = []
    hints = get_type_hints(kind)
    for one in fields(kind):
        hint = hints[one.name]
        inner = next((t for t in (hint, *get_args(hint)) if is_dataclass(t)), None)
        listed = getattr(hint, "__origin__", None) is tuple and inner is not None
        name = f"{prefix}{one.name}" + ("[]" if listed else "")
        rows.append((name, spelled(hint), _default(one), one.metadata["doc"]))
        if inner is not None:
            assert isinstance(inner, type)
            rows += documented(inner, name + ".")
    return rows


def spelled(hint: Any) -> str:
    """A type as people write it."""
    if hint is type(None):
        return "null"
    if is_dataclass(hint):
        return "fields"
    origin, args = getattr(hint, "__origin__", None), get_args(hint)
    if origin is Literal:
        return " or ".join(f"`{a}`" for a in args)
    if origin is tuple:
        return f"list of {spelled(args[0])}"
    if origin is dict:
        return "mapping"
    if args:
        return " or ".join(spelled(a) for a in args)
    return {float: "number", int: "whole number", str: "text", bool: "true or false"}.get(hint, str(hint))


def _default(one: Any) -> str:
    value = one.default
    if not isinstance(value, int | float | str | bool | tuple):
        return "" if value is not None else "null"
    if isinstance(value, bool):
        return str(value).lower()
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, tuple) else str(value)
