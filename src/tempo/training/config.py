"""What a training run is: every field of a recipe, with what it means.

The comment behind a field is not decoration: `doc(...)` is what `tempo train --fields` prints, what
docs/recipes.md holds (a test compares them).
"""

# ruff: noqa: RUF009 - doc() is dataclasses.field and nothing else

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal, get_args, get_type_hints

GROUPS = ("memory", "projector", "vision", "compressor", "decoder")
Allocation = Literal["adaptive", "uniform"]
Matrices = Literal["adamw", "muon"]
Parallel = Literal["ddp", "fsdp"]
Precision = Literal["auto", "float32", "bfloat16"]
Dtype = Literal["float32", "bfloat16"]
LoraGroup = Literal["vision", "compressor", "decoder"]


def doc(text: str, default: Any = None, *, factory: Any = None) -> Any:
    """A field with its documentation, and the default that it has."""
    if factory is not None:
        return field(default_factory=factory, metadata={"doc": text})
    return field(default=default, metadata={"doc": text})


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Where the weights come from: a Tempo checkpoint, or the two base models that a new one is made of."""

    start: str | None = doc(
        "A Tempo checkpoint to start from: folder or hub name, in either layout; `nano` is the embedded "
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
    architecture: str | None = doc(
        "A packaged architecture, `tempo-6b`, which `--check` takes while the model itself is not there."
    )


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """What the losses are."""

    factory: str | None = doc(
        "Another objective, as `module:callable`. It is called with the model, the prompts and `options` and "
        "returns a `tempo.training.objective.Objective`. Null: the answers in the data, and relevance."
    )
    options: dict[str, Any] = doc("Keyword arguments of `factory`.", factory=dict)
    relevance_weight: float = doc(
        "Weight of the loss on relevance, for samples that say which segments their questions are about "
        "(`evidence`, and generated data); 0 leaves it out. Not for another objective.",
        0.5,
    )


@dataclass(frozen=True, kw_only=True)
class LearningRates:
    """The learning rate of each parameter group. Null: the group is frozen."""

    memory: float | None = doc("The memory tokens' embeddings, one shared parameter.")
    projector: float | None = doc("Between the compressor and the decoder.")
    vision: float | None = doc("The compressor's vision tower with its mergers.")
    compressor: float | None = doc("The compressor's language model.")
    decoder: float | None = doc("The language model that answers.")


@dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """Low-rank adapters (arXiv 2106.09685) instead of full training."""

    rank: int = doc("Rank of every adapter.", 16)
    alpha: float = doc("Scale: an adapter's output counts `alpha / rank` times.", 32.0)
    dropout: float = doc("Share of an adapter's inputs that are dropped in training.", 0.0)
    groups: tuple[LoraGroup, ...] = doc(
        "Parameter groups whose linear layers get adapters. Their learning rate is that of the adapters; "
        "their own weights are frozen.",
        ("compressor", "decoder"),
    )


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """One source of samples: a file of conversations, or a callable that makes a source."""

    path: str | None = doc(
        "A JSON or JSONL file of conversations. Lines of a JSONL are read when they are needed; "
        "the file is never in memory."
    )
    media: str | None = doc("The folder that its `image` and `video` paths start from. Null: the file's own.")
    factory: str | None = doc(
        "Samples made by code instead of a file, as `module:callable`. It is called with a "
        "`tempo.training.data.sources.SourceContext` and `options` and returns a `SampleSource`. Modules in "
        "the working directory are found."
    )
    options: dict[str, Any] = doc("Keyword arguments of `factory`.", factory=dict)
    weight: float = doc("How often this source is sampled, relative to the others.", 1.0)
    name: str | None = doc("What the log calls it. Null: the name of the file or of the callable.")


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """Held-out data that the model is measured on while it trains."""

    data: tuple[DataConfig, ...] = doc(
        "Held-out sources, as in `data`. None: nothing is validated, and the model of the last step is kept.",
        (),
    )
    every_steps: int = doc(
        "Validate before the first step, every so many steps, and after the last one.", 100
    )
    samples: int = doc("Samples of each validation, the same ones every time.", 32)
    metric: str = doc(
        "What says which checkpoint is the best, and is written as the model: `loss`, `relevance_accuracy` "
        "(share of segments judged right), `exact` (share of answers whose every token is right) or another "
        "figure of the objective.",
        "loss",
    )
    patience: int | None = doc(
        "Early stopping: end after so many validations in a row without a better one. Null: never."
    )


@dataclass(frozen=True, kw_only=True)
class VideoConfig:
    """Which frames of a sample are watched. Null: as the model's configuration says."""

    fps: float | None = doc("Frames per second.")
    max_frames: int | None = doc("Most frames of one video; longer videos are sampled evenly.")
    min_frames: int | None = doc("Fewest frames of one video.")


@dataclass(frozen=True, kw_only=True)
class BudgetConfig:
    """How many memory tokens the decoder reads."""

    tokens: int | None = doc("Most memory tokens of a whole video. Null: the model's own budget.")
    allocation: Allocation = doc(
        "`adaptive`: by relevance, as answers are given; `uniform`: the same for every segment.", "adaptive"
    )
    token_dropout: float = doc(
        "Nested token dropout: share of the questions for which every segment keeps a random number of its "
        "first tokens instead, so that the first ones come to carry the most.",
        0.5,
    )


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """How long, and how the learning rates move."""

    steps: int | None = doc("Optimizer steps. Null: `epochs` says.")
    epochs: float | None = doc(
        "Passes over the data instead of `steps`: as many samples as all files together have records."
    )
    warmup_steps: int = doc("Steps in which the learning rates rise from zero.", 10)
    decay_ratio: float = doc("Share of the steps at the end in which they fall to zero.", 0.4)


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """How much goes into a step, and how much of it through the model at once."""

    global_batch_size: int = doc("Samples of a step, over all processes.", 8)
    micro_batch_size: int = doc(
        "Samples that go through the model together; the gradients of a step are accumulated.", 1
    )
    segment_chunk: int = doc(
        "Segments that are compressed together. Their activations are recomputed for the gradient, so memory "
        "grows with this number and not with the length of the video.",
        8,
    )
    max_questions: int = doc("Most turns of one conversation that are learnt from at once.", 4)


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """AdamW, and for matrices Muon on request."""

    matrices: Matrices = doc(
        "What updates the matrices: `adamw`, or `muon` (https://kellerjordan.github.io/posts/muon/). With "
        "`muon` everything else stays with AdamW, at a third of its group's learning rate.",
        "adamw",
    )
    weight_decay: float = doc("On matrices; vectors and embeddings have none.", 0.05)
    betas: tuple[float, ...] = doc("Decay rates of AdamW's two running averages.", (0.9, 0.98))
    max_grad_norm: float = doc("Gradients are clipped to this norm.", 1.0)


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """What a run can be resumed from."""

    every_steps: int | None = doc("Write one every so many steps.")
    every_minutes: float = doc("Write one when the last is this old.", 10.0)
    keep: int = doc("How many are kept, beside the best.", 2)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One training run."""

    out: str = doc("The run's folder: log, checkpoints, and in the end the model.", "runs/train")
    seed: int = doc("Of the order of the samples and of everything else that is random.", 1)
    model: ModelConfig = doc("Where the weights come from.", factory=ModelConfig)
    objective: ObjectiveConfig = doc("What the losses are.", factory=ObjectiveConfig)
    learning_rates: LearningRates = doc(
        "What is trained, and how fast: the learning rate of each parameter group.", factory=LearningRates
    )
    lora: LoraConfig | None = doc("Adapters instead of full training. Null: full training.")
    data: tuple[DataConfig, ...] = doc("The mixture of sources.", ())
    validation: ValidationConfig = doc(
        "What the model is measured on while it trains.", factory=ValidationConfig
    )
    video: VideoConfig = doc("Which frames are watched.", factory=VideoConfig)
    budget: BudgetConfig = doc("How many memory tokens the decoder reads.", factory=BudgetConfig)
    schedule: ScheduleConfig = doc("How long.", factory=ScheduleConfig)
    batch: BatchConfig = doc("How much at once.", factory=BatchConfig)
    optimizer: OptimizerConfig = doc("AdamW or Muon.", factory=OptimizerConfig)
    checkpoints: CheckpointConfig = doc("What a run resumes from.", factory=CheckpointConfig)
    precision: Precision = doc(
        "`bfloat16`: matrices are multiplied in it, trained weights are kept in float32 and frozen ones in "
        "bfloat16. `float32`: everything. `auto`: bfloat16 on a GPU and on processors that compute in it.",
        "auto",
    )
    save_dtype: Dtype = doc("In what the finished model is written.", "bfloat16")
    parallel: Parallel = doc(
        "With several processes: `ddp`, each has the whole model; `fsdp`, each has a share of every layer "
        "(FSDP2).",
        "ddp",
    )
    device: str = doc("`auto`: a GPU for each process if there are, else the CPU.", "auto")
    num_workers: int = doc("Processes that load samples ahead, for each training process; 0: none.", 1)
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
