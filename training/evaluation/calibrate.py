"""What is fitted once the weights stand: offsets, temperature and operating points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from app.xray.contract import CalibratedOn
from training.evaluation.metrics import negative_log_likelihoods
from training.evaluation.sample import find_coverage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from app.xray.contract import ModelContract
    from training.evaluation.sample import Found, Sample

SENSITIVITY: Final = 0.95
"""The share of a class's pictures that are to reach its operating point."""
MAX_OFFSET: Final = 3.0
"""A class is made at most e^3, twenty times, as likely beside another as the network had it."""
BOUNDS: Final = (0.05, 20.0)
"""Between which a temperature is looked for; one that lies there fits nothing."""
_STEP: Final = 0.01
_OFFSET_STEPS: Final = 20
_ROUNDING: Final = 1e-9


def calibrate_answers(contract: ModelContract, sample: Sample) -> tuple[ModelContract, Found]:
    """`contract` with what `sample` tells of its answers, and on what that was fitted.

    Beside it the prediction sets by which it says how much they cover, see `find_coverage`.
    """
    found = find_coverage(sample, lambda part: fit_answers(contract, part))
    described = CalibratedOn(
        split=sample.split,
        pictures=len(sample.labels),
        sources_left_out=sample.left_out,
        coverage_asked=SENSITIVITY,
        coverage_found=found.coverage,
    )
    return fit_answers(contract, sample).model_copy(update={"calibrated_on": described}), found


def fit_answers(contract: ModelContract, sample: Sample) -> ModelContract:
    """`contract` with the offsets, the temperature and the operating points that `sample` tells.

    The offsets are those of val, or of a hospital's own sample: where sources were left out, a
    class that none of them holds would pay for those that they do hold. A class of which `sample`
    has no picture has no operating point then.
    """
    own = sample.of_the_calibrated
    offsets = fit_offsets(contract, own.labels, own.raw, own.pair_weights) if own else {}
    moved = contract.model_copy(update={"offsets": offsets})
    temperature = fit_temperature(moved, sample.labels, sample.raw, sample.weights)
    scaled = moved.model_copy(update={"temperature": temperature})
    points = fit_operating_points(
        contract.classes, sample.labels, scaled.calibrate(sample.raw), sample.weights
    )
    return scaled.model_copy(update={"operating_points": points})


def fit_offsets(
    contract: ModelContract,
    labels: NDArray[np.int64],
    raw: NDArray[np.floating],
    weights: NDArray[np.float64] | None = None,
) -> dict[str, float]:
    """What is added to the logit of each class, in nats, at most `MAX_OFFSET` from 0.

    Drawing classes alike, and sources that hold one class only, leave a network that answers some
    classes too readily. Of all shares of the likeliest constants it is the smallest that these
    pictures cannot tell from the whole, see `smallest_share`. Each picture weighs as much as
    `weights` says, float64 (n,) that sum to 1; None: all alike. A class without a picture keeps
    what it has. Source: Alexandari et al. 2020, see `app.xray.contract.outputs.temper`.
    """
    plain = contract.model_copy(update={"temperature": 1.0})

    def named(offsets: NDArray[np.float64]) -> dict[str, float]:
        return dict(zip(contract.classes, offsets.tolist(), strict=True))

    def losses(offsets: NDArray[np.float64]) -> NDArray[np.float64]:
        moved = plain.model_copy(update={"offsets": named(offsets)})
        return negative_log_likelihoods(labels, moved.calibrate(raw))

    present = np.isin(np.arange(len(contract.classes)), labels)
    likeliest: NDArray[np.float64] = minimize(
        lambda offsets: np.average(losses(offsets), weights=weights),
        np.zeros(len(contract.classes)),
        bounds=[(-MAX_OFFSET, MAX_OFFSET) if is_present else (0, 0) for is_present in present],
        method="L-BFGS-B",
    ).x
    share = smallest_share(lambda share: losses(share * likeliest), _OFFSET_STEPS, weights)
    return named(likeliest * share)


def fit_temperature(
    contract: ModelContract,
    labels: NDArray[np.int64],
    raw: NDArray[np.floating],
    weights: NDArray[np.float64] | None = None,
) -> float:
    """The temperature nearest to 1 that these pictures cannot tell from the likeliest one.

    Temperature scaling minimises the negative log-likelihood (Guo et al. 2017, section 4.2), here
    with each picture weighing as much as `weights` says, float64 (n,); None: all alike. Where all
    answers are right, nothing is told of how sure they may be, and 1 it is.
    """
    if (contract.calibrate(raw).argmax(axis=1) == labels).all():
        return 1.0
    best = likeliest_temperature(contract, labels, raw, weights)
    steps = max(1, round(abs(best - 1) / _STEP))
    share = smallest_share(
        lambda share: _losses(1 + share * (best - 1), contract, labels, raw), steps, weights
    )
    return float(1 + share * (best - 1))


def smallest_share(
    losses: Callable[[float], NDArray[np.float64]],
    steps: int,
    weights: NDArray[np.float64] | None = None,
) -> float:
    """How much of a correction is made, 0 to 1 in so many steps; `losses` are then each picture's.

    A few hundred pictures, of which the network gets a few dozen wrong, do not tell the minimum of
    the mean loss well. So the least is taken whose mean lies within one standard error of that
    with all of it, over the pictures' differences (the one-standard-error rule of Breiman et al.
    1984, "Classification and Regression Trees", section 3.4.3). With `weights`, float64 (n,) that
    sum to 1, both are those of the weighted mean.
    """
    least = losses(1)
    weights = _alike(least) if weights is None else weights
    for share in np.linspace(0, 1, steps + 1).tolist():
        excess = losses(share) - least
        mean = weights @ excess
        if mean <= np.sqrt(weights**2 @ (excess - mean) ** 2):
            return float(share)
    return 1.0


def likeliest_temperature(
    contract: ModelContract,
    labels: NDArray[np.int64],
    raw: NDArray[np.floating],
    weights: NDArray[np.float64] | None = None,
) -> float:
    """The temperature with the least weighted mean negative log-likelihood, within `BOUNDS`."""
    found = minimize_scalar(
        lambda temperature: np.average(
            _losses(temperature, contract, labels, raw), weights=weights
        ),
        bounds=BOUNDS,
        method="bounded",
    )
    return float(found.x)


def _losses(
    temperature: float,
    contract: ModelContract,
    labels: NDArray[np.int64],
    raw: NDArray[np.floating],
) -> NDArray[np.float64]:
    scaled = contract.model_copy(update={"temperature": temperature})
    return negative_log_likelihoods(labels, scaled.calibrate(raw))


def fit_operating_points(
    classes: Sequence[str],
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    weights: NDArray[np.float64] | None = None,
) -> dict[str, float]:
    """For each class the highest threshold that a further picture reaches in `SENSITIVITY` of all.

    That is split conformal prediction by class (Vovk 2012, "Conditional validity of inductive
    conformal predictors"): of n pictures that weigh alike, the ceil((n + 1) `SENSITIVITY`)-th
    largest probability; with fewer pictures than that takes, the smallest. With `weights`, float64
    (n,), it is the quantile of the weighted pictures (Tibshirani et al. 2019, "Conformal Prediction
    Under Covariate Shift", section 2), the further one weighing as one of as many pictures as
    weigh alike and tell the mean as well: (sum of w)^2 / (sum of w^2) (Kish 1965).

    A class without a picture is left out.
    """
    weights = np.ones(len(labels)) if weights is None else weights
    points = {}
    for label, name in enumerate(classes):
        own = labels == label
        if not own.any():
            continue
        order = np.argsort(probabilities[own, label])[::-1]
        weighed = weights[own][order] / weights[own].sum()
        count = 1 / (weighed**2).sum()
        enough = weighed.cumsum() * count / (count + 1) >= SENSITIVITY - _ROUNDING
        last = int(enough.argmax()) if enough.any() else len(order) - 1
        reached = probabilities[own, label][order[last]]
        points[name] = float(np.floor(reached * 1e6) / 1e6)
    return points


def _alike(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.full(len(values), 1 / len(values))
