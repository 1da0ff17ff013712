"""What is fitted once the weights stand: temperature, operating points and the gate, on val."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.optimize import minimize_scalar

from app.xray.gate import Gate, PackedArray
from training.evaluation.metrics import negative_log_likelihoods

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from app.xray.contract import ModelContract
    from training.network.runner import Answers

SENSITIVITY: Final = 0.95
"""The share of a class's val pictures that reach its operating point."""
REFUSED_SHARE: Final = 0.02
"""The share of chest X-rays that the gate may refuse."""
_AXES: Final = 32
_BOUNDS: Final = (0.05, 20.0)
_STEP: Final = 0.01


def calibrate(
    contract: ModelContract, labels: NDArray[np.int64], val: Answers, train: Answers
) -> ModelContract:
    """`contract` with temperature, operating points and gate, from the answers to val and train."""
    temperature = fit_temperature(contract, labels, val.raw)
    scaled = contract.model_copy(update={"temperature": temperature})
    points = fit_operating_points(contract.classes, labels, scaled.calibrate(val.raw))
    gate = fit_gate(train.summaries, val.summaries)
    # Where val and train are all alike, a gate would refuse everything else.
    found = {"operating_points": points, "ood": gate if gate.threshold > 0 else None}
    return scaled.model_copy(update=found)


def fit_temperature(
    contract: ModelContract, labels: NDArray[np.int64], raw: NDArray[np.float32]
) -> float:
    """The temperature nearest to 1 that these pictures cannot tell from the likeliest one.

    Temperature scaling minimises the negative log-likelihood (Guo et al. 2017, section 4.2).
    """
    best = likeliest_temperature(contract, labels, raw)
    steps = max(1, round(abs(best - 1) / _STEP))
    share = smallest_share(
        lambda share: _losses(1 + share * (best - 1), contract, labels, raw), steps
    )
    return float(1 + share * (best - 1))


def smallest_share(losses: Callable[[float], NDArray[np.float64]], steps: int) -> float:
    """How much of a correction is made, 0 to 1 in so many steps; `losses` are then each picture's.

    A few hundred pictures, of which the network gets a few dozen wrong, do not tell the minimum of
    the mean loss well. So the least is taken whose mean lies within one standard error of that
    with all of it, over the pictures' differences (the one-standard-error rule of Breiman et al.
    1984, "Classification and Regression Trees", section 3.4.3).
    """
    least = losses(1)
    for share in np.linspace(0, 1, steps + 1).tolist():
        excess = losses(share) - least
        if excess.mean() <= excess.std() / np.sqrt(len(excess)):
            return float(share)
    return 1.0


def likeliest_temperature(
    contract: ModelContract, labels: NDArray[np.int64], raw: NDArray[np.float32]
) -> float:
    """The temperature with the least mean negative log-likelihood of these pictures."""
    found = minimize_scalar(
        lambda temperature: _losses(temperature, contract, labels, raw).mean(),
        bounds=_BOUNDS,
        method="bounded",
    )
    return float(found.x)


def _losses(
    temperature: float,
    contract: ModelContract,
    labels: NDArray[np.int64],
    raw: NDArray[np.float32],
) -> NDArray[np.float64]:
    scaled = contract.model_copy(update={"temperature": temperature})
    return negative_log_likelihoods(labels, scaled.calibrate(raw))


def fit_operating_points(
    classes: Sequence[str], labels: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> dict[str, float]:
    """For each class the highest threshold that `SENSITIVITY` of its pictures reach."""
    points = {}
    for label, name in enumerate(classes):
        reached = np.sort(probabilities[labels == label, label])[::-1]
        last = int(np.ceil(SENSITIVITY * len(reached))) - 1
        points[name] = float(np.floor(reached[last] * 1e6) / 1e6)
    return points


def fit_gate(train: NDArray[np.float32], val: NDArray[np.float32]) -> Gate:
    """The Gaussian around `train` (n, dimensions), its threshold from `val` (m, dimensions).

    The threshold is that of split conformal prediction (Papadopoulos et al. 2002, "Inductive
    Confidence Machines for Regression"): the ceil((m + 1) (1 - `REFUSED_SHARE`))-th smallest
    score of val, so that a further chest X-ray of the same kind passes with a probability of at
    least 1 - `REFUSED_SHARE`; with fewer val pictures than that takes, the largest.
    """
    mean = train.mean(axis=0, dtype=np.float64)
    scale = train.std(axis=0, dtype=np.float64) + 1e-3  # a channel may be silent on X-rays
    centred = (train - mean) / scale
    count, dimensions = centred.shape
    kept = min(_AXES, count - 1, dimensions - 1)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    variances = singular**2 / count
    rest = max(variances[kept:].sum() / (dimensions - kept), 1e-6)
    gate = Gate(
        mean=PackedArray.pack(mean),
        scale=PackedArray.pack(scale),
        axes=PackedArray.pack(axes[:kept]),
        variances=PackedArray.pack(np.maximum(variances[:kept], rest)),
        rest=float(rest),
        threshold=1.0,
        refused_on_val=0.0,
    )
    scores = np.sort(gate.score(val))
    place = min(int(np.ceil((len(scores) + 1) * (1 - REFUSED_SHARE))), len(scores))
    threshold = float(scores[place - 1])
    return gate.model_copy(
        update={"threshold": threshold, "refused_on_val": float((scores > threshold).mean())}
    )
