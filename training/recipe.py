"""`training/recipes/*.toml`: how a network may be trained, why, and what came of it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from app.xray.errors import TrainingError
from training.config import Recipe
from training.export import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence

RECIPES: Final = Path(__file__).parent / "recipes"
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
    path = _path(name, folder)
    try:
        return RecipeFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        known = ", ".join(recipe_names(folder))
        raise TrainingError(
            f"{name}: no such recipe; there are {known}, or name a .toml file"
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise TrainingError(f"{path}: no recipe: {error}") from error


def record_trial(name: str, held_out: Sequence[str], trial: Trial, folder: Path = RECIPES) -> None:
    """Write a trial into the recipe's file, in the place of one under the same conditions.

    The trials stand at the file's end; what stands above, comments too, is left as it is.

    Raises:
        TrainingError: as `read_recipe`, or the file cannot be written.
    """
    trials = {**read_recipe(name, folder).trials, ",".join(held_out) or "val": trial}
    path = _path(name, folder)
    kept = path.read_text(encoding="utf-8").split("\n[trials.")[0].rstrip()
    tables = [_table(key, trials[key]) for key in sorted(trials, key=lambda key: key != "val")]
    try:
        with replacing(path) as partial:
            partial.write_text("\n\n".join([kept, *tables]) + "\n", encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"{path}: cannot be written: {error.strerror}") from error


def _path(name: str, folder: Path) -> Path:
    return Path(name) if name.endswith(".toml") else folder / f"{name}.toml"


def _table(key: str, trial: Trial) -> str:
    """A table of TOML; JSON's strings are among TOML's basic strings."""
    sources = ", ".join(
        f"{json.dumps(source)} = {figure:.3f}" for source, figure in trial.balanced_accuracy.items()
    )
    return "\n".join(
        [
            f"[trials.{json.dumps(key)}]",
            f"command = {json.dumps(trial.command)}",
            f"minutes = {trial.minutes:.1f}",
            f"pictures = {trial.pictures}",
            f"accuracy = {trial.accuracy:.3f}",
            f"macro_auroc = {trial.macro_auroc:.3f}",
            f"balanced_accuracy = {{ {sources} }}",
        ]
    )
