"""Which training pictures an epoch shows, and what each counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def class_weights(labels: NDArray[np.int64]) -> dict[int, float] | None:
    """Weights that let each class count the same in the loss; None where they do already.

    A class of n_c among n pictures and k classes weighs n / (k n_c), scikit-learn's "balanced".
    """
    counts = np.bincount(labels)
    if (counts == counts[0]).all():
        return None
    return {label: len(labels) / (len(counts) * int(n)) for label, n in enumerate(counts)}


def chances(
    labels: NDArray[np.int64], sources: Sequence[str], balance: float
) -> NDArray[np.float64]:
    """With what probability each picture is drawn: float64 (n,), summing to 1.

    Each class as often. Of a class, a source of n pictures as often as n ** (1 - `balance`) says:
    with 0 by its pictures, with 1 each source the same. `sources` may be empty: one source.
    """
    names = np.array(sources) if sources else np.zeros(len(labels), np.str_)
    found = np.zeros(len(labels))
    for label in np.unique(labels):
        own = labels == label
        for source in np.unique(names[own]):
            chosen = own & (names == source)
            found[chosen] = chosen.sum() ** -float(balance)
        found[own] /= found[own].sum()
    drawn: NDArray[np.float64] = found / found.sum()
    return drawn
