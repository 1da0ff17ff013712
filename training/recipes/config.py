"""What a training run can be told, with the recipe of 2022 as its defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Convolution = Annotated[str, Field(pattern=r"^(conv1|conv_(dw|pw)_([1-9]|1[0-3]))$")]
"""A convolution of MobileNet by its name in Keras: a wrong one is told before hours of training."""
StrategyName = Literal["auto", "one", "mirrored"]


class AugmentConfig(BaseModel):
    """How far a training picture may be moved; each is drawn evenly from - to + the figure.

    Those that say so are chances that something happens to a picture, see `training.data.film`. No
    left-right flip: the heart has a side.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = 7.0
    shift: Fraction = 0.05
    """Of the picture's side."""
    zoom: Fraction = 0.1
    stretch: Fraction = 0.0
    """Of the width, and the other way of the height: films come in many shapes."""
    brightness: Fraction = 0.1
    """Of the full range of levels, added."""
    contrast: Fraction = 0.15
    """Around the picture's mean, as a factor of 1 - to 1 + the figure."""
    gamma: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Of the logarithm of the exponent that the levels, 0 to 1, are raised to."""
    blur: Probability = 0.0
    """Chance of being less sharp."""
    noise: Probability = 0.0
    """Chance of grain."""
    exposure: Probability = 0.0
    """Chance of being given the levels of another training picture."""
    surroundings: Probability = 0.0
    """Chance of being given what lies around the lungs of another training picture."""
    film_border: Probability = 0.0
    """Chance of an even border at some of the sides."""


class Recipe(BaseModel):
    """How a network is trained, whatever the data; what `training/recipes/*.toml` hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    interpolation: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"] = (
        "nearest"
    )
    """How pictures are resized, in training and, by the contract, in serving."""
    decode: Literal["full", "scaled"] = "full"
    """Whether a JPEG is decoded in full, or only as large as it is needed: the same in both."""
    epochs: Annotated[int, Field(gt=0)] = 15
    batch_size: Annotated[int, Field(gt=0)] = 64

    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-4
    backbone_rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    """What share of the rate the layers below the head are given."""
    weight_decay: Fraction = 0.0
    """Decoupled from the gradients (Loshchilov and Hutter 2019); no bias or normalization."""
    schedule: Literal["plateau", "cosine"] = "plateau"
    """The rate falls where the val loss stalls, or along a cosine (Loshchilov and Hutter 2017)."""
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    plateau_patience: Annotated[int, Field(gt=0)] = 6
    plateau_min_delta: PositiveFloat = 5e-3
    min_learning_rate: PositiveFloat = 5e-9
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    """So long a rate on a cosine rises evenly from nothing."""

    head_epochs: Annotated[int, Field(ge=0)] = 0
    """The head alone is trained first, for so many epochs, on features that are kept."""
    frozen_blocks: Annotated[int, Field(ge=0, le=13)] = 0
    """So many of MobileNet's 13 blocks, from below, stay as they are, with all before them."""
    frozen_statistics: bool = False
    """Whether batch normalization below the head stays as it is, its gains and biases too."""

    precision: Literal["auto", "bfloat16"] = "auto"
    """In what steps compute: see `training.network.device`. Weights stay float32 in any."""
    bf16_weights_from: Convolution | None = None
    """From which layer on weights are rounded to bf16 numbers in the end; None: they are not. See
    `training.network.bf16_weights`."""
    label_smoothing: Fraction = 0.0
    mixup: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Both parameters of the Beta distribution of Zhang et al. 2018; 0: none."""
    source_balance: Probability | None = None
    """None: each picture once an epoch, classes weighed in the loss. Else pictures are drawn, each
    class as often; 1: each source of a class as often too, 0: each picture of a class."""
    average: Fraction = 0.0
    """The decay, a step, of the moving average of the weights that is kept; 0: none."""
    keep: Literal["best", "last"] = "best"
    """Which epoch: that of the best val accuracy, or the last."""
    augment: AugmentConfig = AugmentConfig()


class FitConfig(Recipe):
    """Every setting of a run; written to its `config.json`."""

    data: Path
    out: Path
    recipe: str | None = None
    """The name of the recipe that the settings come from, as far as nothing else was asked for."""
    weights: Literal["imagenet", "none"] | Path = "imagenet"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 21
    strategy: StrategyName = "auto"
    """On which devices, see `training.train.strategy`; `batch_size` is that of all together."""
    strict: bool = False
    """Whether an unreadable picture ends the run, rather than being skipped."""
    tensorboard: bool = False
    """Whether the figures of each epoch are written as TensorBoard's event files too."""
    allow_leaks: bool = False
    """Whether to train although the audit found leaks."""
    leave_out: tuple[str, ...] = ()
    """Sources, or SOURCE:COLLECTION, whose pictures have no part in training and validation."""
