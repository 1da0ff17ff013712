from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from app.xray.errors import TrainingError
from training.recipes.config import Recipe
from training.recipes.trials import Trial, digest_of, key_of, read_trials, record_trial

if TYPE_CHECKING:
    from pathlib import Path

TRIAL = Trial(
    command='python -m training trial --recipe "x"',
    minutes=1.25,
    pictures=7,
    accuracy=0.5,
    macro_auroc=0.75,
    recalls={"clinic/COVID": 0.5, "other clinic/NORMAL": 1.0},
)
ROUNDED = TRIAL.model_copy(update={"minutes": 1.2})
DIGEST = digest_of(Recipe(), "imagenet")


def test_trials_are_kept_by_what_was_held_out_and_the_last_of_each(tmp_path: Path) -> None:
    again = TRIAL.model_copy(update={"accuracy": 0.25})
    for held_out, trial in (((), TRIAL), (("clinic", "other"), TRIAL), ((), again)):
        record_trial(tmp_path / "a", "mine.toml", DIGEST, key_of(held_out), trial)
    assert read_trials(tmp_path / "a", "mine", DIGEST) == {
        "val": ROUNDED.model_copy(update={"accuracy": 0.25}),
        "clinic,other": ROUNDED,
    }


def test_other_data_have_no_trial_of_these(tmp_path: Path) -> None:
    record_trial(tmp_path / "a", "mine", DIGEST, "val", TRIAL)
    assert read_trials(tmp_path / "b", "mine") == {}


@pytest.mark.parametrize(
    ("recipe", "weights"),
    [
        pytest.param(Recipe(epochs=3), "imagenet", id="another setting"),
        pytest.param(Recipe(), "none", id="other weights"),
    ],
)
def test_a_recipe_that_was_changed_was_not_tried(
    tmp_path: Path, recipe: Recipe, weights: str
) -> None:
    record_trial(tmp_path, "mine", DIGEST, "val", TRIAL)
    digest = digest_of(recipe, weights)
    assert read_trials(tmp_path, "mine", digest) == {}
    record_trial(tmp_path, "mine", digest, "clinic", TRIAL)
    assert read_trials(tmp_path, "mine") == {"clinic": ROUNDED}


def test_a_recipe_with_a_dot_in_its_name_has_a_file_of_its_own(tmp_path: Path) -> None:
    record_trial(tmp_path, "mine.2", DIGEST, "val", TRIAL)
    assert read_trials(tmp_path, "mine") == {}
    assert read_trials(tmp_path, "mine.2") == {"val": ROUNDED}


def test_what_is_no_file_of_trials_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[trials.val]\naccuracy = 2\n")
    with pytest.raises(TrainingError, match=r"mine\.toml: expected what trial writes"):
        read_trials(tmp_path, "mine")


def test_the_mean_counts_each_source_the_same() -> None:
    assert TRIAL.mean == 0.75
