"""What a training run can be told, with the recipe of 2022 as its defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class AugmentConfig(BaseModel):
    """How far a training picture may be moved; each is drawn evenly from - to + the figure.

    No left-right flip: the heart has a side.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = 7.0
    shift: Fraction = 0.05
    """Of the picture's side."""
    zoom: Fraction = 0.1
    brightness: Fraction = 0.1
    """Of the full range of levels, added."""
    contrast: Fraction = 0.15
    """Around the picture's mean, as a factor of 1 - to 1 + the figure."""


class FitConfig(BaseModel):
    """Every setting of a run; written to its `config.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Path
    out: Path
    weights: Literal["imagenet", "none"] | Path = "imagenet"
    epochs: Annotated[int, Field(gt=0)] = 15
    batch_size: Annotated[int, Field(gt=0)] = 64
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 21
    strict: bool = False
    """Whether an unreadable picture ends the run, rather than being skipped."""
    allow_leaks: bool = False
    """Whether to train although the audit found leaks."""

    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-4
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    plateau_patience: Annotated[int, Field(gt=0)] = 6
    plateau_min_delta: PositiveFloat = 5e-3
    min_learning_rate: PositiveFloat = 5e-9
    augment: AugmentConfig = AugmentConfig()
