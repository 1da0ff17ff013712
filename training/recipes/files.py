"""`training/recipes/*.toml`: how a network may be trained, why, and what came of it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from app.xray.errors import TrainingError
from training.recipes.config import Recipe

RECIPES: Final = Path(__file__).parent
DEFAULT: Final = "grain"
"""The recipe that `fit` follows where none is named."""


class Trial(BaseModel):
    """What a network trained by a recipe makes of pictures that it has not seen, but not of test.

    All figures but `minutes` are from 0 to 1. Of each source `balanced_accuracy` has the mean
    recall of the classes that it holds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str
    minutes: float
    pictures: int
    accuracy: float
    macro_auroc: float
    balanced_accuracy: dict[str, float]

    @property
    def mean(self) -> float:
        """The balanced accuracy, each source counting the same."""
        return sum(self.balanced_accuracy.values()) / len(self.balanced_accuracy)


class RecipeFile(BaseModel):
    """A recipe, why it might be better than another, and its trials.

    `trials` has "val", trained on all sources, and for each set of sources that was held out of
    training, their names with a comma between them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    why: str
    settings: Recipe = Recipe()
    trials: dict[str, Trial] = {}


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
