"""Figures that belong together, each of some pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from app.xray.contract import Estimate


class Calibration(NamedTuple):
    """How far probabilities lie from what happens."""

    ece: Estimate
    brier: Estimate


class OperatingPoint(NamedTuple):
    """What a class's threshold does: the shares of its pictures and of all others that reach it."""

    threshold: float
    sensitivity: Estimate
    false_positive_rate: Estimate


class SourceFigures(NamedTuple):
    """The figures on the pictures of one source."""

    pictures: int
    accuracy: Estimate
    macro_auroc: Estimate | None
    """Over the classes that the source holds; None where it holds one."""
    confusion: NDArray[np.int64]
    """(classes, classes): pictures by true class, in rows, and by the likeliest."""
