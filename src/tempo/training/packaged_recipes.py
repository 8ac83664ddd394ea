"""The recipes that come with the package, by name: `nano/finetune`, `tempo-6b/stage-0` …"""

from __future__ import annotations

from pathlib import Path

# In an installed package beside the modules, in a checkout in the folder of that name.
_PACKAGE = Path(__file__).parents[1]
_FOLDERS = (_PACKAGE / "recipes", _PACKAGE.parents[1] / "recipes")


def recipe_names() -> list[str]:
    """Every name that :func:`find_recipe` knows."""
    return sorted(
        file.relative_to(_folder()).with_suffix("").as_posix() for file in _folder().glob("*/*.yaml")
    )


def find_recipe(name: str | Path) -> Path:
    """The file of a packaged recipe by its name; anything else as a path.

    A file or folder of that name in the working directory comes first.
    """
    path = Path(name)
    if not path.exists() and str(name) in recipe_names():
        return _folder() / f"{name}.yaml"
    return path


def _folder() -> Path:
    return next((folder for folder in _FOLDERS if folder.is_dir()), _FOLDERS[0])
