"""What came of recipes on one folder of X-rays: `runs/trials/FINGERPRINT/RECIPE.toml`.

The fingerprint is that of the data, so nobody is told another's figures. A trial is forgotten where
its recipe, or what it starts from, has changed since.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from app.xray.errors import TrainingError
from app.xray.replacing import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.recipes.config import Recipe

TRIALS: Final = Path("runs/trials")
VAL: Final = "val"
"""What a trial on all sources is called; others are called after the sources held out."""
_DIGITS: Final = 16
"""Of a fingerprint, in the name of a folder."""


class Trial(BaseModel):
    """What a network trained by a recipe makes of pictures that it has not seen, but not of test.

    All figures but `minutes` are from 0 to 1. `recalls` has that of each pair of source and class,
    by "SOURCE/CLASS".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str
    minutes: float
    pictures: int
    accuracy: float
    macro_auroc: float
    recalls: dict[str, float]

    @property
    def mean(self) -> float:
        """The recall, each pair of source and class counting the same."""
        return sum(self.recalls.values()) / len(self.recalls)


class TrialFile(BaseModel):
    """The trials of one recipe on one folder of X-rays; `recipe` is the digest of what was tried.

    `trials` has "val", trained on all sources, and for each set of sources that was held out of
    training, their names with a comma between them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str
    trials: dict[str, Trial]


def trials_folder(fingerprint: str) -> Path:
    """Where the trials on the data of that fingerprint are kept, below the working folder."""
    return TRIALS / fingerprint[:_DIGITS]


def key_of(held_out: Sequence[str]) -> str:
    """What a trial is called."""
    return ",".join(held_out) or VAL


def digest_of(recipe: Recipe, weights: str) -> str:
    """The SHA-256 of what decides a trial beside the data: settings, and `weights` to start from.

    A file of weights counts by its name.
    """
    what = {"settings": recipe.model_dump(mode="json"), "weights": Path(weights).name}
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def read_trials(folder: Path, name: str, digest: str | None = None) -> dict[str, Trial]:
    """The trials in `folder` of the recipe called `name`; {} where there are none.

    With a `digest`, as `digest_of` gives it, only those of that very recipe.

    Raises:
        TrainingError: the file is not one of those.
    """
    path = _path(folder, name)
    try:
        found = TrialFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise TrainingError(f"{path}: expected what trial writes: {error}") from error
    return found.trials if digest in (None, found.recipe) else {}


def record_trial(folder: Path, name: str, digest: str, key: str, trial: Trial) -> None:
    """Note a trial of the recipe called `name`, in the place of one under the same conditions.

    Trials of another recipe of that name, or of what it once was, are forgotten.

    Raises:
        TrainingError: as `read_trials`, or the file cannot be written.
    """
    trials = {**read_trials(folder, name, digest), key: trial}
    tables = [_table(each, trials[each]) for each in sorted(trials, key=lambda key: key != VAL)]
    path = _path(folder, name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            head = f"recipe = {json.dumps(digest)}"
            partial.write_text("\n\n".join([head, *tables]) + "\n", encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"{path}: cannot be written: {error.strerror}") from error


def _path(folder: Path, name: str) -> Path:
    return folder / f"{Path(name).stem if name.endswith('.toml') else name}.toml"


def _table(key: str, trial: Trial) -> str:
    """A table of TOML; JSON's strings are among TOML's basic strings."""
    recalls = ", ".join(
        f"{json.dumps(pair)} = {figure:.3f}" for pair, figure in trial.recalls.items()
    )
    return "\n".join(
        [
            f"[trials.{json.dumps(key)}]",
            f"command = {json.dumps(trial.command)}",
            f"minutes = {trial.minutes:.1f}",
            f"pictures = {trial.pictures}",
            f"accuracy = {trial.accuracy:.3f}",
            f"macro_auroc = {trial.macro_auroc:.3f}",
            f"recalls = {{ {recalls} }}",
        ]
    )
