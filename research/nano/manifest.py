"""The manifest of a pipeline: its inputs and steps, and the hash of everything that goes into a step."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tempo.errors import TempoError
from tempo.training.validation import LOWER_IS_BETTER

HERE = Path(__file__).parent
DEFAULT_OUT = "runs/nano"  # as recipes and manifests name it
_NAMED = re.compile(rf"{DEFAULT_OUT}/([\w-]+)")  # an earlier step, in a recipe or in options


@dataclass(frozen=True)
class Step:
    """A recipe, or a function that is called with a folder to write and its options.

    Attributes:
        trains, learns: for the table of stages.
        minutes: on the reference machine, about.
        set: `key=value` for the recipe.
        reach: a figure of held-out data, and what it must have come to before the next step begins.
    """

    name: str
    recipe: str | None = None
    call: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    set: tuple[str, ...] = ()
    trains: str = ""
    learns: str = ""
    minutes: float = 0.0
    reach: dict[str, float] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The recipe as it stands in its file; of a call, what it is called with."""
        if self.recipe is not None:
            return (HERE / "recipes" / f"{self.recipe}.yaml").read_text(encoding="utf-8")
        return json.dumps([self.call, self.options], sort_keys=True)

    def missed(self, best: Mapping[str, float]) -> str:
        """What of `reach` the best validation did not come to; "": nothing."""
        for name, bound in self.reach.items():
            sign = -1 if name in LOWER_IS_BETTER else 1
            if name not in best or sign * best[name] < sign * bound:
                got = f"{best[name]:.3f}" if name in best else "not measured"
                return f"{name} on held-out data is {got}, and the next step needs {bound}"
        return ""


@dataclass(frozen=True)
class Manifest:
    """The steps of a pipeline, in order.

    Attributes:
        probe_seconds: what `machine_speed.probe` took on the reference machine.
        inputs: folders that steps begin from but none of them makes, each with the hash of its files.
    """

    steps: tuple[Step, ...]
    probe_seconds: float
    inputs: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """The manifest in a YAML file."""
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        steps = tuple(
            Step(**{"name": one.get("recipe"), **one, "set": tuple(one.get("set", ()))})
            for one in found["steps"]
        )
        return cls(steps, found["probe_seconds"], found.get("inputs", {}))

    def check_inputs(self) -> None:
        """Make sure that all inputs are what the manifest was written for.

        Raises:
            TempoError: one is not there, or has changed.
        """
        for path, wanted in self.inputs.items():
            if not Path(path).is_dir():
                raise TempoError(f"{path}: no such folder; the manifest begins from it")
            found = hash_of_folder(Path(path))
            if found != wanted:
                raise TempoError(f"{path}: its hash is {found}, and the manifest begins from {wanted}")

    def needs(self, step: Step) -> set[str]:
        """The names of the earlier steps that a step begins from."""
        named = set(_NAMED.findall(step.text))
        return {one.name for one in self.steps[: self.steps.index(step)]} & named

    def until(self, name: str) -> tuple[Step, ...]:
        """A step and all that it needs, in order."""
        wanted = {name}
        for step in reversed(self.steps):
            if step.name in wanted:
                wanted |= self.needs(step)
        return tuple(step for step in self.steps if step.name in wanted)

    def hashes(self, overrides: Sequence[str], by_step: Mapping[str, Sequence[str]]) -> dict[str, str]:
        """For each step the hash of what goes into it: its recipe and overrides, the steps that it begins
        from, and all inputs. Not the code of the trainer and of the data."""
        found: dict[str, str] = {}
        for step in self.steps:
            earlier = [found[name] for name in sorted(self.needs(step))]
            parts = [step.text, [*overrides, *step.set, *by_step.get(step.name, ())], earlier, self.inputs]
            found[step.name] = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        return found


def hash_of_folder(folder: Path) -> str:
    """Hash of the names and bytes of all files in a folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()
