"""What goes into a step of the pipeline decides whether it is made again; what it must reach holds it up."""

from dataclasses import replace
from pathlib import Path

import pytest

from research.nano.manifest import HERE, Manifest, Step, hash_of_folder
from research.nano.stage_table import BEGIN, END, put_into
from tempo.errors import TempoError
from tempo.training.config_parsing import read_recipe

MANIFESTS = sorted(HERE.glob("*.yaml"))


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_every_step_of_every_manifest_is_there(path: Path) -> None:
    manifest = Manifest.read(path)
    names = [step.name for step in manifest.steps]
    assert len(set(names)) == len(names)
    for step in manifest.steps:
        assert (step.recipe is None) != (step.call is None), step.name
        if step.recipe is not None:
            recipe = read_recipe(HERE / "recipes" / f"{step.recipe}.yaml", list(step.set))
            assert bool(step.reach) <= bool(recipe.validation.data), step.name
            assert step.minutes > 0, step.name


def test_a_changed_step_changes_those_that_begin_from_it() -> None:
    manifest = Manifest.read(HERE / "pipeline.yaml")
    before = manifest.hashes([], {})
    after = manifest.hashes([], {"compressor": ["schedule.steps=7"]})
    changed = {name for name in before if before[name] != after[name]}
    later = {"joined", "alignment", "stage-0", "stage-1", "stage-2", "stage-3", "average", "export"}
    assert changed == {"compressor"} | later
    assert manifest.hashes(["seed=5"], {}).keys() == before.keys()
    assert not set(manifest.hashes(["seed=5"], {}).values()) & set(before.values())
    assert replace(manifest, inputs={"a": "1"}).hashes([], {})["base-start"] != before["base-start"]


def test_what_a_step_needs() -> None:
    manifest = Manifest.read(HERE / "pipeline.yaml")
    of = {step.name: step for step in manifest.steps}
    assert manifest.needs(of["base-start"]) == set()
    assert manifest.needs(of["vocabulary"]) == {"base", "vision"}
    assert manifest.needs(of["joined"]) == {"compressor", "decoder"}
    assert manifest.needs(of["average"]) == {"alignment", "stage-3"}
    before = ["base-start", "vision", "language", "base", "vocabulary"]
    assert [step.name for step in manifest.until("decoder")] == [*before, "decoder"]
    for path in MANIFESTS:  # nothing is made for nothing
        whole = Manifest.read(path)
        assert whole.until(whole.steps[-1].name) == whole.steps


def test_what_must_be_reached() -> None:
    step = Step("decoder", recipe="decoder", reach={"answers": 0.8, "loss": 0.3})
    assert step.missed({"answers": 0.81, "loss": 0.2}) == ""
    assert "answers on held-out data is 0.790, and the next step needs 0.8" in step.missed({"answers": 0.79})
    assert "loss on held-out data is 0.400" in step.missed({"answers": 0.9, "loss": 0.4})
    assert "not measured" in step.missed({"answers": 0.9})


def test_an_input_is_known_by_its_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "a").write_bytes(b"1")
    right = hash_of_folder(folder)
    manifest = Manifest((), 1.0, {str(folder): right})
    manifest.check_inputs()
    (folder / "inner" / "a").write_bytes(b"2")
    with pytest.raises(TempoError, match=rf"weights: its hash is .*begins from {right}"):
        manifest.check_inputs()
    with pytest.raises(TempoError, match="no such folder"):
        Manifest((), 1.0, {str(tmp_path / "none"): right}).check_inputs()


def test_the_table_stands_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{BEGIN}\n\nold\n\n{END}\n\nafter\n")
    put_into(page, "new")
    assert page.read_text() == f"before\n\n{BEGIN}\n\nnew\n\n{END}\n\nafter\n"
