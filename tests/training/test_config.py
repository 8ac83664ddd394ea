"""Recipes: what is accepted, and how mistakes are met."""

from pathlib import Path

import pytest
import yaml

from tempo.errors import UsageError
from tempo.training.config import Recipe, documented
from tempo.training.config_parsing import read_recipe, write_recipe

ROOT = Path(__file__).parents[2]
SHIPPED = sorted([*(ROOT / "recipes").rglob("*.yaml"), *(ROOT / "research/nano/recipes").glob("*.yaml")])
GOOD = {
    "model": {"start": "nano"},
    "learning_rates": {"projector": 1e-3},
    "data": [{"path": "mine.jsonl"}],
    "schedule": {"steps": 10},
}


def read(tmp_path, values, *overrides):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(values) if isinstance(values, dict) else values)
    return read_recipe(path, overrides)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_shipped_recipes_are_valid(path):
    assert read_recipe(path).out != Recipe().out, "runs of two recipes must not meet"


def test_fields_that_are_not_given_have_their_defaults(tmp_path):
    recipe = read(tmp_path, GOOD)
    assert recipe.learning_rates.projector == 1e-3
    assert recipe.learning_rates.decoder is None
    assert recipe.batch == Recipe().batch


def test_what_is_written_is_read_back(tmp_path):
    values = GOOD | {"lora": {"rank": 4, "groups": ["decoder"]}, "learning_rates": {"decoder": 1e-4}}
    recipe = read(tmp_path, values, "data.0.weight=2.5", "optimizer.betas=[0.8, 0.9]")
    write_recipe(recipe, tmp_path / "written.yaml")
    assert read_recipe(tmp_path / "written.yaml") == recipe


@pytest.mark.parametrize(
    ("override", "field", "value"),
    [
        ("batch.global_batch_size=16", "batch.global_batch_size", 16),
        ("learning_rates.decoder=1e-5", "learning_rates.decoder", 1e-5),
        ("learning_rates.decoder=null", "learning_rates.decoder", None),
        ("tensorboard=true", "tensorboard", True),
        ("model.start=runs/mine/model", "model.start", "runs/mine/model"),
    ],
)
def test_overrides(tmp_path, override, field, value):
    found = read(tmp_path, GOOD, override)
    for name in field.split("."):
        found = getattr(found, name)
    assert found == value


def test_overrides_reach_into_lists_and_fields_that_are_null(tmp_path):
    recipe = read(
        tmp_path,
        GOOD,
        "data.0.path=other.jsonl",
        "lora.rank=8",
        "lora.groups=[decoder]",
        "learning_rates.decoder=1e-4",
    )
    assert recipe.data[0].path == "other.jsonl"
    assert recipe.lora.rank == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": {}}, r"unknown field learning_rate; did you mean learning_rates\?"),
        (
            {"learning_rates": {"compresor": 1}},
            r"unknown field learning_rates\.compresor; did you mean learning_rates\.compressor\?",
        ),
        ({"data": [{"pth": "x"}]}, r"unknown field data\.0\.pth; did you mean data\.0\.path\?"),
        (
            {"batch": {"global_batch_size": "many"}},
            r"batch\.global_batch_size must be whole number, not 'many'",
        ),
        ({"batch": {"global_batch_size": 1.5}}, r"batch\.global_batch_size must be whole number, not 1\.5"),
        ({"batch": {"global_batch_size": True}}, r"batch\.global_batch_size must be whole number, not True"),
        ({"batch": 3}, r"batch must be fields, not 3"),
        ({"precision": "half"}, r"precision must be `auto` or `float32` or `bfloat16`, not 'half'"),
        ({"tensorboard": 1}, r"tensorboard must be true or false, not 1"),
        ({"learning_rates": {"decoder": float("nan")}}, r"learning_rates\.decoder must be number, not nan"),
        ({"learning_rates": {"decoder": -1.0}}, r"learning_rates\.decoder must be above 0"),
        ({"learning_rates": {}}, r"learning_rates trains nothing"),
        ({"data": []}, r"data has no source"),
        ({"data": [{}]}, r"data\.0 needs either a path or a factory"),
        ({"data": [{"path": "x", "weight": 0}]}, r"data\.0\.weight must be above 0"),
        ({"model": {}}, r"model needs either start"),
        ({"model": {"start": "nano", "compressor": "x"}}, r"model needs either start"),
        ({"schedule": {}}, r"schedule needs either steps or epochs"),
        ({"schedule": {"steps": 1, "epochs": 1}}, r"schedule needs either steps or epochs"),
        ({"lora": {"groups": ["decoder"]}}, r"lora\.groups has decoder, to which learning_rates gives no"),
        ({"lora": {"groups": ["everything"]}}, r"lora\.groups\.0 must be `vision` or"),
        ({"validation": {"metric": "exactness"}}, r"validation\.metric must be loss, routing, exact"),
        ({"validation": {"patience": 2}}, r"validation\.patience needs held-out data"),
        ({"objective": {"options": {"a": 1}}}, r"objective\.options belong to objective\.factory"),
        ({"data": [{"path": "x", "options": {"a": 1}}]}, r"data\.0\.options belong to a factory"),
        ({"optimizer": {"matrices": "muon"}, "parallel": "fsdp"}, r"muon goes with parallel: ddp"),
        ({"budget": {"token_dropout": 2}}, r"budget\.token_dropout must be from 0 to 1"),
    ],
)
def test_mistakes_are_one_line_that_names_the_field(tmp_path, change, message):
    with pytest.raises(UsageError, match=message) as caught:
        read(tmp_path, GOOD | change)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "recipe.yaml"))


@pytest.mark.parametrize(
    ("text", "message"),
    [("- a\n- b", "a mapping of fields, not a list"), ("a: [", "not YAML"), ("", "data has no")],
)
def test_files_that_are_no_recipe(tmp_path, text, message):
    with pytest.raises(UsageError, match=message) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("batch.global_batch_size", "use the form key=value"),
        ("data.7.path=x", "7 must be a number from 0 to 0"),
        ("seed.of=1", "seed has no fields of its own"),
        ("batch.global_batch=4", r"did you mean batch\.global_batch_size\?"),
        ("seed=[", "not YAML"),
    ],
)
def test_overrides_that_say_nothing(tmp_path, override, message):
    with pytest.raises(UsageError, match=message):
        read(tmp_path, GOOD | {"seed": 3}, override)


def test_a_recipe_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="no such recipe"):
        read_recipe(tmp_path / "nothing.yaml")


def test_every_field_is_documented():
    for name, kind, _, meaning in documented():
        assert len(meaning) > 5, name
        assert meaning.endswith((".", "…")), name
        assert "typing" not in kind, (name, kind)


def test_the_first_item_of_a_list_that_the_file_leaves_out_can_be_set(tmp_path):
    file = tmp_path / "recipe.yaml"
    model = "model: {start: nano}\nlearning_rates: {projector: 0.001}\nschedule: {steps: 9}\n"
    file.write_text(model + "data: [{path: a.jsonl}]\n")
    recipe = read_recipe(file, ["validation.data.0.path=b.jsonl", "validation.every_steps=5"])
    assert [one.path for one in recipe.validation.data] == ["b.jsonl"]
