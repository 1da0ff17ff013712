"""Figures that a contract carries: what a checkpoint was judged on, and how it was judged."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0, le=1)]


class Frozen(BaseModel):
    """A part of a contract: it cannot be changed, and has no field that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Estimate(Frozen):
    """A figure with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class DatasetSummary(Frozen):
    """What a checkpoint was trained and judged on.

    `fingerprint` is the SHA-256 over the sorted lines `SPLIT/CLASS/NAME SHA256-OF-FILE`;
    `counts` gives pictures per split and class.
    """

    fingerprint: str
    counts: dict[str, dict[str, int]]


class LowerPrecision(Frozen):
    """What it costs to compute the layers from `from_layer` on in a lower precision.

    Found on `pictures` of the validation split: the share of them that keep their label, and the
    largest difference of a probability, before calibration.
    """

    from_layer: Annotated[str, Field(min_length=1)]
    same_label: Probability
    largest_difference: Probability
    pictures: Annotated[int, Field(gt=0)]


class CalibratedOn(Frozen):
    """What temperature and operating points were fitted on, and the share of sets with the truth.

    `pictures` of `split`; those of `sources_left_out` were answered by networks that had not seen
    these sources. `coverage_found` is on pictures that the points were not fitted on.
    """

    split: Annotated[str, Field(min_length=1)]
    pictures: Annotated[int, Field(gt=0)]
    sources_left_out: tuple[str, ...] = ()
    coverage_asked: Probability
    coverage_found: Probability | None = None
