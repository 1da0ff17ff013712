"""A constant for each class, laid into the network's last layer once the others stand.

Weighing the classes in the loss, and sources that hold one class only, leave a network that answers
some classes too readily. That is mended as bias-corrected temperature scaling mends it (Alexandari
et al. 2020, "Maximum Likelihood with Bias-Corrected Calibration is Hard-To-Beat at Label Shift
Adaptation", section 3.2), but for the temperature, which
`training.evaluation.calibrate` fits afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax

from app.xray.checkpoint import read_checkpoint
from app.xray.network import build_network
from training.evaluation.calibrate import smallest_share
from training.evaluation.metrics import negative_log_likelihoods
from training.evaluation.sample import weigh_alike
from training.network.export import export_checkpoint
from training.network.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from app.xray.contract import ModelContract
    from training.data.dataset import Split

_BOUND: Final = 3.0
"""A class is made at most e^3, twenty times, as likely beside another as the network had it."""
_STEPS: Final = 100


def add_offsets(
    kept: Path, contract: ModelContract, watched: Split, sources: Sequence[str], into: Path
) -> None:
    """Fit the constants for the checkpoint at `kept` on `watched`; write one that has them.

    With the `sources` of the pictures, each pair of source and class weighs alike: where the line
    between two classes falls is not to depend on which hospital sent most pictures. They are ()
    where they are not known, or where they are not to count.
    """
    network = build_network(read_checkpoint(kept))
    raw = Runner(network, contract).run(watched.pixels).raw
    weights = weigh_alike(watched.labels, np.array(sources)) if sources else None
    bias = network.layers[-1].bias
    bias.assign_add(fit_offsets(watched.labels, raw, weights).astype(np.float32))
    export_checkpoint(network, contract, into)


def fit_offsets(
    labels: NDArray[np.int64],
    raw: NDArray[np.float32],
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """The constants to be added to the logits of each class, float64 (classes,), in nats.

    `raw` are the probabilities (n, classes) of pictures that have `labels`, which weigh as much as
    `weights` says, float64 (n,) that sum to 1; None: all alike. Of all shares of the likeliest
    constants it is the smallest that these pictures cannot tell from the whole, see
    `smallest_share`. A class without a picture keeps what it has.
    """
    logits = np.log(np.maximum(raw, np.finfo(np.float32).tiny), dtype=np.float64)

    def losses(offsets: NDArray[np.float64]) -> NDArray[np.float64]:
        return negative_log_likelihoods(labels, softmax(logits + offsets, axis=1))

    present = np.isin(np.arange(raw.shape[1]), labels)
    likeliest: NDArray[np.float64] = minimize(
        lambda offsets: np.average(losses(offsets), weights=weights),
        np.zeros(raw.shape[1]),
        bounds=[(-_BOUND, _BOUND) if is_present else (0, 0) for is_present in present],
        method="L-BFGS-B",
    ).x
    return likeliest * smallest_share(lambda share: losses(share * likeliest), _STEPS, weights)
