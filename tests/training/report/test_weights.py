"""What the card says of the weights that a run began with."""

from pathlib import Path

import pytest

from training.recipes.config import FitConfig
from training.report.words.recipe import spell_weights


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        pytest.param("imagenet", "ImageNet weights", id="imagenet"),
        pytest.param("none", "random weights", id="none"),
        pytest.param("kept/some.h5", "weights of the file some.h5", id="file"),
    ],
)
def test_the_card_says_which_weights_a_run_began_with(weights: str, words: str) -> None:
    settings = FitConfig(data=Path("data"), out=Path("out"), weights=weights)
    assert spell_weights(settings) == words
