"""What a config.json says, checked before anything is built of it: an error names the file and the field.

transformers fills in what a configuration does not say with the values of some model, and fails far from what
is wrong with one. So everything on which the numbers depend is looked at here first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tempo.errors import TempoError
from tempo.networks.qwen3_vl import VISION_THETA

_DECODER_WHOLE = (
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    *("head_dim", "max_position_embeddings"),
)
_TEMPO_WHOLE = (
    *("num_compression_tokens", "min_tokens", "visual_token_budget", "segment_frames", "min_frames"),
    "max_frames",
)
_VISION_WHOLE = (
    *("depth", "hidden_size", "intermediate_size", "num_heads", "in_channels", "patch_size"),
    *("spatial_merge_size", "temporal_patch_size", "out_hidden_size", "num_position_embeddings"),
)
# What the released models use; transformers knows others.
PLAIN_ACTIVATIONS = ("silu", "gelu_pytorch_tanh")
_GEOMETRY_WHOLE = (
    *("patch_size", "frames_per_patch", "merge_size", "min_pixels", "max_pixels", "image_min_pixels"),
    "image_max_pixels",
)


def check_config(folder: Path, values: dict[str, Any]) -> None:
    """Check the decoder's part of a checkpoint's config.json, and what is tempo's own.

    Raises:
        TempoError: a field cannot be right.
    """
    fields = _Fields(folder / "config.json", values)
    if values.get("quantization_config"):
        fields.refuse(
            "quantization_config",
            f"says that the weights are quantised ({_method(values['quantization_config'])}); give the model "
            "that they were made from, or save it again after model.dequantize()",
        )
    if values.get("use_sliding_window"):
        fields.refuse("use_sliding_window", "is set; tempo supports full attention only")
    _check_language(fields)
    fields.whole(*_TEMPO_WHOLE)
    fields.whole("tokenizer_model_max_length", optional=True)
    fields.number("fps")
    if values.get("max_frames", math.inf) < values.get("min_frames", 0):
        fields.refuse("max_frames", f"is {values['max_frames']}, which is less than min_frames")
    geometry = fields.inside("geometry", optional=True)
    geometry.whole(*_GEOMETRY_WHOLE)
    geometry.number("std")
    for name, text in fields.inside("prompts", optional=True).values.items():
        if not isinstance(text, str):
            fields.refuse(f"prompts.{name}", f"must be a string, not {text!r}")
    names = values.get("mm_vision_tower_aux_list")
    if names is not None and not (isinstance(names, list) and all(isinstance(n, str) and n for n in names)):
        fields.refuse(
            "mm_vision_tower_aux_list", f"must be a list of names of base models, not {_short(names)}"
        )


def check_compressor(file: Path, values: Any, *, prefix: str = "") -> None:
    """Check a Qwen3-VL configuration.

    Args:
        prefix: where in the file it stands.

    Raises:
        TempoError: it is of another kind of model, or a field cannot be right.
    """
    if not isinstance(values, dict):
        raise TempoError(
            f"{file}: {prefix.rstrip('.')} must be a Qwen3-VL configuration, not {_short(values)}"
        )
    fields = _Fields(file, values, prefix)
    fields.among("model_type", ["qwen3_vl"], required=True)
    fields.dtype()
    text = fields.inside("text_config")
    text.among("model_type", ["qwen3_vl_text"])
    _check_language(text)
    width = text.values.get("head_dim", 128)
    rope = _rope(text)
    rope.among("mrope_interleaved", [True])
    section: Any = rope.values.get("mrope_section")
    fits = isinstance(section, list) and len(section) == 3 and all(_is_whole(part, 1) for part in section)
    if not fits or sum(section) != width // 2:
        rope.refuse(
            "mrope_section", f"must be three numbers that add up to {width // 2}, not {_short(section)}"
        )
    _check_vision(fields.inside("vision_config"), text)


def _check_language(fields: _Fields) -> None:
    """The fields that decoder and compressor have in common."""
    fields.whole(*_DECODER_WHOLE)
    fields.whole("num_key_value_heads", optional=True)
    fields.number("rms_norm_eps")
    fields.activation()
    fields.dtype()
    heads = fields.values.get("num_attention_heads", 32)
    shared = fields.values.get("num_key_value_heads", 32) or heads
    if heads % shared:
        fields.refuse(
            "num_key_value_heads", f"is {shared}, which does not divide num_attention_heads ({heads})"
        )
    layers = fields.values.get("num_hidden_layers", 32)
    types = fields.values.get("layer_types")
    if types is not None and types != ["full_attention"] * layers:
        fields.refuse("layer_types", f'must say "full_attention" for each of the {layers} layers')
    _check_rope(_rope(fields), fields)


def _rope(fields: _Fields) -> _Fields:
    """The rotary parameters, wherever a version of transformers puts them."""
    name = "rope_parameters" if fields.values.get("rope_parameters") else "rope_scaling"
    return fields.inside(name, optional=True)


def _check_rope(rope: _Fields, fields: _Fields) -> None:
    kind = rope.values.get("rope_type", rope.values.get("type", "default"))
    if kind != "default":
        from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

        if kind not in list(ROPE_INIT_FUNCTIONS):
            rope.refuse(
                "rope_type",
                f"is {kind!r}, which is not supported; choose from {_listed(ROPE_INIT_FUNCTIONS)}",
            )
    where = rope if "rope_theta" in rope.values else fields
    if where.values.get("rope_theta") is None:
        fields.refuse("rope_theta", "is missing; copy it from the configuration of the model it is built on")
    where.number("rope_theta")


def _check_vision(vision: _Fields, text: _Fields) -> None:
    vision.whole(*_VISION_WHOLE)
    vision.activation()
    vision.among("in_channels", [3])
    width, heads = vision.values.get("hidden_size", 1152), vision.values.get("num_heads", 16)
    if width % (4 * heads):
        vision.refuse("num_heads", f"is {heads}; 4 × num_heads must divide hidden_size ({width})")
    positions = vision.values.get("num_position_embeddings", 2304)
    if math.isqrt(positions) ** 2 != positions:
        vision.refuse("num_position_embeddings", f"is {positions}, which is not a square number")
    vision.among("out_hidden_size", [text.values.get("hidden_size", 4096)])
    deep, depth = vision.values.get("deepstack_visual_indexes", []), vision.values.get("depth", 27)
    if not isinstance(deep, list) or not all(_is_whole(i, 0) and i < depth for i in deep):
        vision.refuse("deepstack_visual_indexes", f"must be layers below {depth}, not {_short(deep)}")
    rope = vision.inside("rope_parameters", optional=True)
    rope.among("rope_theta", [VISION_THETA])


@dataclass(frozen=True)
class _Fields:
    """The fields of one object in a JSON file. Those that are not there are not checked."""

    file: Path
    values: dict[str, Any]
    prefix: str = ""

    def refuse(self, name: str, why: str) -> None:
        raise TempoError(f"{self.file}: {self.prefix}{name} {why}")

    def whole(self, *names: str, optional: bool = False) -> None:
        for name in names:
            value = self.values.get(name, 1)
            if not (_is_whole(value, 1) or (optional and value is None)):
                self.refuse(name, f"must be a whole number of at least 1, not {_short(value)}")

    def number(self, name: str) -> None:
        value = self.values.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            self.refuse(name, f"must be a number above 0, not {_short(value)}")

    def among(self, name: str, allowed: list[Any], *, required: bool = False) -> None:
        value = self.values.get(name, None if required else allowed[0])
        if value not in allowed:
            self.refuse(name, f"is {_short(value)}; choose from {_listed(allowed)}")

    def activation(self) -> None:
        if self.values.get("hidden_act") in PLAIN_ACTIVATIONS:
            return
        from transformers.activations import ACT2FN  # which takes seconds

        self.among("hidden_act", list(ACT2FN))

    def dtype(self) -> None:
        for name in ("dtype", "torch_dtype"):
            value = self.values.get(name)
            known = getattr(torch, value, None) if isinstance(value, str) else None
            if value is not None and not (isinstance(known, torch.dtype) and known.is_floating_point):
                self.refuse(name, f"is {_short(value)}; choose bfloat16, float16 or float32")

    def inside(self, name: str, *, optional: bool = False) -> _Fields:
        """The fields of the object that is one of these."""
        value = self.values.get(name)
        if value is None and optional:
            value = {}
        if not isinstance(value, dict):
            self.refuse(
                name, f"must be an object, not {_short(value)}" if name in self.values else "is missing"
            )
        return _Fields(self.file, value or {}, f"{self.prefix}{name}.")


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _method(quantization: Any) -> str:
    named = quantization.get("quant_method") if isinstance(quantization, dict) else None
    return str(named or "in a way that it does not name")


def _listed(names: Any) -> str:
    shown = [str(name) for name in names][:6]
    return ", ".join(shown) + (", …" if len(names) > len(shown) else "")


def _short(value: Any) -> str:
    if value is None:
        return "null"
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
