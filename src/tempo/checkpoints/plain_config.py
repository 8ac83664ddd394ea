"""The configuration of a checkpoint that has nothing unusual in it, read without transformers.

A field that is not known here, or has another value than the released models have, makes no error. It makes
:func:`plain_config` return None, and the caller leaves the checkpoint to transformers, which takes seconds
longer to import and decides with what it knows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from tempo.networks.config import CompressorConfig, LanguageConfig, TempoConfig, TempoFields, VisionConfig

_Check = Callable[[Any], bool]


def _one_of(*values: Any) -> _Check:
    return lambda value: any(value is one or (type(value) is type(one) and value == one) for one in values)


def _of_type(*types: type) -> _Check:
    return lambda value: type(value) in types


_WHOLE, _NUMBER, _BOOL = _of_type(int), _of_type(int, float), _of_type(bool)
_WHOLE_OR_NONE = _of_type(int, type(None))
# Fields that change nothing of what is computed, as long as they are what they usually are.
_WITHOUT_EFFECT: dict[str, _Check] = {
    "_name_or_path": _of_type(str),
    "architectures": _of_type(list, type(None)),
    "attention_bias": _one_of(False),
    "attention_dropout": _one_of(0, 0.0),
    "bos_token_id": _WHOLE_OR_NONE,
    "chunk_size_feed_forward": _one_of(0),
    "dtype": _of_type(str, type(None)),
    "id2label": _one_of({"0": "LABEL_0", "1": "LABEL_1"}),
    "initializer_range": _NUMBER,
    "is_encoder_decoder": _one_of(False),
    "label2id": _one_of({"LABEL_0": 0, "LABEL_1": 1}),
    "max_window_layers": _WHOLE,
    "output_attentions": _one_of(False),
    "output_hidden_states": _one_of(False),
    "pad_token_id": _WHOLE_OR_NONE,
    "problem_type": _one_of(None),
    "return_dict": _one_of(True),
    "sliding_window": _WHOLE_OR_NONE,
    "tie_word_embeddings": _BOOL,
    "torch_dtype": _of_type(str, type(None)),
    "transformers_version": _of_type(str, type(None)),
    "use_cache": _BOOL,
    "use_sliding_window": _one_of(False),
}
_TEMPO_NAMES = frozenset(field.name for field in fields(TempoFields))
# Fields of the code that the published model was trained with; nothing here reads them.
_PUBLISHED_PREFIXES = ("mm_", "tune_mm_", "freeze_mm_", "unfreeze_mm_", "image_", "tokenizer_")
_ROPE = ("rope_theta", "rope_parameters", "rope_scaling")
_VISION: dict[str, _Check] = {
    "model_type": _one_of("qwen3_vl", "qwen3_vl_vision"),
    "hidden_act": _one_of("gelu_pytorch_tanh"),
    "rope_parameters": _one_of({"rope_theta": 10000.0, "rope_type": "axial"}),
}
_COMPRESSOR: dict[str, _Check] = {
    "model_type": _one_of("qwen3_vl"),
    **dict.fromkeys(
        ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id"), _WHOLE
    ),
}
# Fields of generation_config.json: tempo reads the tokens that end an answer and has options for the rest.
_GENERATION: dict[str, _Check] = {
    "_from_model_config": _BOOL,
    "do_sample": _BOOL,
    "temperature": lambda value: _NUMBER(value) and value > 0,
    "top_k": lambda value: _WHOLE(value) and value > 0,
    "top_p": lambda value: _NUMBER(value) and 0 < value <= 1,
    **dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), _of_type(int, list, type(None))),
    **{
        name: _WITHOUT_EFFECT[name]
        for name in ("output_attentions", "output_hidden_states", "transformers_version", "use_cache")
    },
}


def is_plain_generation(values: dict[str, Any]) -> bool:
    """Whether transformers would find nothing to object to in a generation_config.json."""
    return all(name in _GENERATION and _GENERATION[name](value) for name, value in values.items())


def plain_config(values: dict[str, Any]) -> TempoConfig | None:
    """The configuration that a checkpoint's `config.json` makes with its `compressor_config`, both checked.

    None if there is anything in it that only transformers can judge.
    """
    own = {name: value for name, value in values.items() if name in _TEMPO_NAMES}
    decoder = {name: value for name, value in values.items() if name not in own}
    for name in ("model_type", "layer_types", "eos_token_id"):  # the first two have been checked
        decoder.pop(name, None)
    decoder = {name: one for name, one in decoder.items() if not name.startswith(_PUBLISHED_PREFIXES)}
    language = _language(decoder)
    compressor = _compressor(values["compressor_config"])
    eos = values.get("eos_token_id")
    if language is None or compressor is None or type(eos) not in (int, type(None)):
        return None
    return TempoConfig(
        **language,
        **own,
        compressor_parts=compressor,
        tie_word_embeddings=values.get("tie_word_embeddings", False),
        eos_token_id=eos,
    )


def _compressor(values: dict[str, Any]) -> CompressorConfig | None:
    parts = {"text_config", "vision_config"}
    rest = {name: value for name, value in values.items() if name not in parts}
    if not _harmless(rest, _COMPRESSOR):
        return None
    text = {name: value for name, value in values["text_config"].items() if name != "layer_types"}
    if text.pop("model_type", "qwen3_vl_text") != "qwen3_vl_text":
        return None
    language, vision = _language(text, sections=True), _vision(values["vision_config"])
    if language is None or vision is None:
        return None
    return CompressorConfig(text_config=LanguageConfig(**language), vision_config=vision)


def _language(values: dict[str, Any], *, sections: bool = False) -> dict[str, Any] | None:
    """The arguments of :class:`LanguageConfig`, if each is there and nothing else has an effect."""
    wanted = {field.name: values.get(field.name) for field in fields(LanguageConfig)}
    rope = _rope(values, sections=sections)
    if rope is None or values.get("hidden_act") != "silu":
        return None
    wanted |= rope
    whole = {name for name, kind in LanguageConfig.__annotations__.items() if kind == "int"}
    if not all(_WHOLE(wanted[name]) for name in whole) or not _NUMBER(wanted["rms_norm_eps"]):
        return None
    rest = {n: v for n, v in values.items() if n not in wanted and n not in _ROPE and n != "hidden_act"}
    return wanted if _harmless(rest) else None


def _rope(values: dict[str, Any], *, sections: bool) -> dict[str, Any] | None:
    given = dict(values.get("rope_parameters") or values.get("rope_scaling") or {})
    if values.get("rope_parameters") and values.get("rope_scaling"):
        return None
    theta = given.pop("rope_theta", values.get("rope_theta"))
    kinds = [given.pop("rope_type", "default"), given.pop("type", "default")]
    section = given.pop("mrope_section", None) if sections else None
    interleaved = given.pop("mrope_interleaved", None) if sections else None
    if (
        given
        or kinds != ["default", "default"]
        or not _NUMBER(theta)
        or (sections and interleaved is not True)
    ):
        return None
    return {"rope_theta": float(theta), "mrope_section": tuple(section) if section else None}


def _vision(values: dict[str, Any]) -> VisionConfig | None:
    names = [field.name for field in fields(VisionConfig)]
    rest = {name: value for name, value in values.items() if name not in names}
    if any(name not in values for name in (*names, "hidden_act")) or not _harmless(rest, _VISION):
        return None
    return VisionConfig(**{name: values[name] for name in names})


def _harmless(values: dict[str, Any], also: dict[str, _Check] | None = None) -> bool:
    known = _WITHOUT_EFFECT | (also or {})
    return all(name in known and known[name](value) for name, value in values.items())
