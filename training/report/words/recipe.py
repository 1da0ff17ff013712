"""How a run was made, in words: its command, and what its recipe does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from training.recipes.files import read_recipe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training.recipes.config import AugmentConfig, FitConfig, Recipe

_FLAGS: Final = ("epochs", "batch_size", "learning_rate")
"""What a flag of `fit` may ask for beside the recipe."""


def spell_command(settings: FitConfig) -> str:
    """The command that trains so, in lines of at most 100 characters.

    Raises:
        TrainingError: the recipe is no longer there.
    """
    weights = settings.weights if isinstance(settings.weights, str) else "FILE"
    parts = ["python -m training fit", "--data DIR", f"--weights {weights}"]
    if settings.recipe:
        parts.append(f"--recipe {Path(settings.recipe).name}")
    known = read_recipe(settings.recipe).settings if settings.recipe else None
    for name in _FLAGS:
        value = getattr(settings, name)
        if known is None or value != getattr(known, name):
            parts.append(f"--{name.replace('_', '-')} {value:g}")
    parts.append(f"--seed {settings.seed}")
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + len(part) < 98:
            lines[-1] += f" {part}"
        else:
            lines.append(f"    {part}")
    return " \\\n".join(lines)


def spell_weights(settings: FitConfig) -> str:
    """The weights that a run began with; of a file its name, for no more is known of it."""
    if isinstance(settings.weights, Path):
        return f"weights of the file {settings.weights.name}"
    return "ImageNet weights" if settings.weights == "imagenet" else "random weights"


def describe(recipe: Recipe) -> str:
    """What a recipe does, in sentences."""
    return " ".join(
        (*_rates(recipe), *_weights(recipe), *_pictures(recipe), _changes(recipe.augment))
    )


def _rates(recipe: Recipe) -> Iterator[str]:
    smoothed = (
        f" with labels smoothed by {recipe.label_smoothing:g}" if recipe.label_smoothing else ""
    )
    yield (
        f"Adam at {recipe.learning_rate:g}, batches of {recipe.batch_size}, {recipe.epochs} "
        f"epochs, categorical cross-entropy{smoothed}."
    )
    if recipe.schedule == "cosine":
        rises = f" rises for {recipe.warmup_epochs:g} epochs, then" if recipe.warmup_epochs else ""
        yield f"The rate{rises} falls along a cosine."
    else:
        yield (
            f"The rate falls by a factor of {1 / recipe.plateau_factor:g} after "
            f"{recipe.plateau_patience} epochs without a better validation loss."
        )
    if recipe.backbone_rate < 1:
        yield f"The layers below the head are given {recipe.backbone_rate:.0%} of it."
    if recipe.precision != "auto":
        yield f"Steps are computed in {recipe.precision}."
    if recipe.weight_decay:
        yield f"Weights decay by {recipe.weight_decay:g} of the rate."


def _weights(recipe: Recipe) -> Iterator[str]:
    if recipe.head_epochs:
        yield f"First the head alone was trained, for {recipe.head_epochs} epochs."
    if recipe.frozen_blocks:
        yield f"The lower {recipe.frozen_blocks} of the 13 blocks stay as they came."
    if recipe.frozen_statistics:
        yield "Batch normalization below the head stays as it came."
    kept = (
        "The epoch with the best validation accuracy is kept"
        if recipe.keep == "best"
        else "The last epoch is kept"
    )
    averaged = (
        f", of a moving average of the weights with a decay of {recipe.average:g} a step"
        if recipe.average
        else ""
    )
    yield f"{kept}{averaged}."
    if recipe.bf16_weights_from:
        yield f"Weights from {recipe.bf16_weights_from} on are rounded to bf16 numbers."


def _pictures(recipe: Recipe) -> Iterator[str]:
    if recipe.source_balance is None:
        yield "Classes count the same in the loss."
    else:
        yield (
            "Pictures are drawn so that each class comes as often, and of a class a source of n "
            f"pictures as n to the power of {1 - recipe.source_balance:g}."
        )
    if recipe.mixup:
        yield f"Pictures and labels are mixed by shares from Beta({recipe.mixup:g})."


def _changes(augment: AugmentConfig) -> str:
    stretched = f", stretched by up to {augment.stretch:.0%}" if augment.stretch else ""
    bent = f", in gamma by a factor of up to e^{augment.gamma:g}" if augment.gamma else ""
    chances = {
        "is blurred": augment.blur,
        "gets grain": augment.noise,
        "gets the exposure of another training picture": augment.exposure,
        "gets what lies around the lungs of another training picture": augment.surroundings,
        "gets an even border": augment.film_border,
    }
    happens = ", ".join(f"{what} ({chance:.0%})" for what, chance in chances.items() if chance)
    return (
        f"Each training picture is turned by up to {augment.rotation_degrees:g} degrees, shifted "
        f"by up to {augment.shift:.0%}, zoomed by up to {augment.zoom:.0%}{stretched}, and changed "
        f"in brightness by up to {augment.brightness:.0%} and in contrast by up to "
        f"{augment.contrast:.0%}{bent}; never flipped."
        + (f" With the chance named, it {happens}." if happens else "")
    )
