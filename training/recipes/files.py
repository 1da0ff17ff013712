"""`training/recipes/*.toml`: how a network may be trained, and why."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from app.xray.errors import TrainingError
from training.recipes.config import Recipe

RECIPES: Final = Path(__file__).parent
DEFAULT: Final = "alike"
"""The recipe that `fit` follows where none is named."""


class RecipeFile(BaseModel):
    """A recipe, and why it might be better than another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    why: str
    settings: Recipe = Recipe()


def recipe_names(folder: Path = RECIPES) -> tuple[str, ...]:
    """The names of the recipes in a folder, in alphabetical order."""
    return tuple(sorted(path.stem for path in folder.glob("*.toml")))


def read_recipe(name: str, folder: Path = RECIPES) -> RecipeFile:
    """The recipe of that name, or in the file `name` where that ends in .toml.

    Raises:
        TrainingError: there is none, or the file is no recipe; says which there are.
    """
    path = path_of(name, folder)
    try:
        return RecipeFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        known = ", ".join(recipe_names(folder))
        raise TrainingError(
            f"{name}: no such recipe; there are {known}, or name a .toml file"
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise TrainingError(f"{path}: no recipe: {error}") from error


def path_of(name: str, folder: Path = RECIPES) -> Path:
    """Where the recipe of that name lies; `name` itself where that ends in .toml."""
    return Path(name) if name.endswith(".toml") else folder / f"{name}.toml"
