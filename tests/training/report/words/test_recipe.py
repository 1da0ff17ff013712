from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from training.recipes.config import AugmentConfig, FitConfig, Recipe
from training.recipes.files import read_recipe, recipe_names
from training.report.words.recipe import describe, spell_command


def config(**settings: Any) -> FitConfig:
    return FitConfig(data=Path("secret"), out=Path("out"), **settings)


@pytest.mark.parametrize(
    ("settings", "command"),
    [
        pytest.param(
            {"recipe": "2022"},
            "python -m training fit --data DIR --weights imagenet --recipe 2022 --seed 21",
            id="a recipe",
        ),
        pytest.param(
            {"recipe": "2022", "epochs": 30, "weights": Path("/my/w.h5"), "seed": 3},
            "python -m training fit --data DIR --weights FILE --recipe 2022 --epochs 30 --seed 3",
            id="a recipe, but for what was asked for",
        ),
        pytest.param(
            {"epochs": 30, "batch_size": 16},
            "python -m training fit --data DIR --weights imagenet --epochs 30 --batch-size 16 \\\n"
            "    --learning-rate 0.0001 --seed 21",
            id="no recipe",
        ),
    ],
)
def test_the_command_names_what_decides_the_run(settings: dict[str, Any], command: str) -> None:
    assert spell_command(config(**settings)) == command


def test_the_recipe_of_2022_is_described_as_what_it_does() -> None:
    assert describe(Recipe()) == (
        "Adam at 0.0001, batches of 64, 15 epochs, categorical cross-entropy. The rate falls by a "
        "factor of 10 after 6 epochs without a better validation loss. The epoch with the best "
        "validation accuracy is kept. Classes count the same in the loss. Each training picture "
        "is turned by up to 7 degrees, shifted by up to 5%, zoomed by up to 10%, and changed in "
        "brightness by up to 10% and in contrast by up to 15%; never flipped."
    )


@pytest.mark.parametrize("field", [*Recipe.model_fields, *AugmentConfig.model_fields])
def test_no_setting_is_left_unsaid(field: str) -> None:
    all_set = Recipe(
        learning_rate=0.01, backbone_rate=0.5, weight_decay=0.1, schedule="cosine",
        warmup_epochs=2, head_epochs=3, frozen_blocks=4, frozen_statistics=True,
        bf16_weights_from="conv_pw_5", label_smoothing=0.2, mixup=0.3, source_balance=0.4,
        average=0.9, keep="last",
        augment=AugmentConfig(
            stretch=0.15, gamma=0.6, blur=0.11, noise=0.12, exposure=0.13, surroundings=0.14,
            film_border=0.16,
        ),
    )  # fmt: skip
    unsaid = {"interpolation", "decode", "plateau_min_delta", "min_learning_rate", "augment"}
    if field in unsaid:
        return  # the card tells two from the contract; the next two matter to nobody's eye
    if field in AugmentConfig.model_fields:
        value = getattr(all_set.augment, field)
        without = all_set.model_copy(
            update={"augment": all_set.augment.model_copy(update={field: value / 2})}
        )
    elif field.startswith("plateau"):
        all_set = all_set.model_copy(update={"schedule": "plateau"})
        without = all_set.model_copy(update={field: getattr(all_set, field) * 2})
    else:
        without = all_set.model_copy(update={field: Recipe.model_fields[field].default})
        if getattr(without, field) == getattr(all_set, field):
            without = all_set.model_copy(update={field: getattr(all_set, field) * 2})
    assert describe(without) != describe(all_set)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_can_be_told(name: str) -> None:
    assert describe(read_recipe(name).settings).endswith(".")
