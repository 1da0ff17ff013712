from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from app.xray.errors import TrainingError
from training.recipes.config import Recipe
from training.recipes.files import DEFAULT, read_recipe, recipe_names

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.toml").write_text(
        '# A comment.\nwhy = "To see."\n\n[settings]\nepochs = 3\n\n'
        "[settings.augment]\nblur = 0.5\n"
    )
    return tmp_path


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_that_comes_along_can_be_read_and_says_why(name: str) -> None:
    assert read_recipe(name).why.strip()


def test_the_recipe_of_2022_is_what_is_followed_where_nothing_else_is_said() -> None:
    assert read_recipe("2022").settings == Recipe()
    assert DEFAULT in recipe_names()


def test_a_recipe_is_read_by_its_name_or_by_its_file(folder: Path) -> None:
    recipe = read_recipe("mine", folder)
    assert recipe.settings == Recipe(
        epochs=3, augment=Recipe().augment.model_copy(update={"blur": 0.5})
    )
    assert read_recipe(str(folder / "mine.toml")) == recipe


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("why = ", "mine.toml", id="no TOML"),
        pytest.param('why = "x"\n[settings]\nepoch = 3\n', "epoch", id="an unknown setting"),
        pytest.param('why = "x"\n[settings]\nepochs = 0\n', "epochs", id="a bad value"),
        pytest.param(
            'why = "x"\n[settings]\nbf16_weights_from = "conv_pw1"\n',
            "bf16_weights_from",
            id="no layer of MobileNet",
        ),
        pytest.param("[settings]\nepochs = 3\n", "why", id="no reason"),
    ],
)
def test_what_is_no_recipe_is_refused_by_name(folder: Path, text: str, named: str) -> None:
    (folder / "mine.toml").write_text(text)
    with pytest.raises(TrainingError, match=named):
        read_recipe("mine", folder)


def test_an_unknown_recipe_is_answered_with_those_there_are(folder: Path) -> None:
    with pytest.raises(TrainingError, match="yours: no such recipe; there are mine"):
        read_recipe("yours", folder)
