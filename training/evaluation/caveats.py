"""What of a run's data limits what its checkpoint can be trusted with, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from training.data.manifest import UNKNOWN
from training.evaluation.calibrate import SENSITIVITY
from training.evaluation.gate.fit import REFUSED_SHARE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from training.data.audit.audit import Audit

_ENOUGH_FOR_GATE: Final = 33
"""The fewest val pictures for the gate; with n of them a further X-ray passes at n / (n + 1)."""
_ENOUGH_FOR_POINT: Final = 20
"""The fewest pictures of which 95 % is fewer than all."""


def all_caveats(
    classes: Sequence[str],
    train: tuple[NDArray[np.int64], Sequence[str]],
    val: NDArray[np.int64],
    audit: Audit,
) -> tuple[str, ...]:
    """What the contract carries: of val, of the sources of training, of patients and leaks.

    `train` has the labels and the sources of its pictures, the latter empty where none are known;
    `val` has labels.
    """
    return (*few_pictures(classes, val), *_one_class(classes, *train), *_not_compared(audit))


def without_sources(names: Sequence[str]) -> tuple[str, ...]:
    """What a checkpoint says of itself that was trained without the sources `names`."""
    if not names:
        return ()
    return (
        f"it was trained without the pictures of {', '.join(names)}, to calibrate another by: it "
        "is not to be served",
    )


def few_pictures(
    classes: Sequence[str], labels: NDArray[np.int64], *, gate: bool = True
) -> list[str]:
    """What a val split with these `labels` is too small for; of a gate only where one is fitted."""
    found = []
    if gate and len(labels) < _ENOUGH_FOR_GATE:
        found.append(
            f"val has {len(labels)} pictures: with fewer than {_ENOUGH_FOR_GATE} the gate refuses "
            f"more than {REFUSED_SHARE:.0%} of chest X-rays"
        )
    for label, name in enumerate(classes):
        count = int((labels == label).sum())
        if count < _ENOUGH_FOR_POINT:
            found.append(
                f"val has {count} pictures of {name}: its operating point is hardly known, and "
                f"not for a sensitivity of {SENSITIVITY:.0%}"
            )
    return found


def _one_class(
    classes: Sequence[str], labels: NDArray[np.int64], sources: Sequence[str]
) -> Iterator[str]:
    names = np.array(sources or [UNKNOWN] * len(labels))
    for source in sorted(set(names.tolist()) - {UNKNOWN}):
        held = np.unique(labels[names == source])
        if len(held) == 1:
            yield (
                f"all training pictures of {source} are {classes[held[0]]}: whatever tells that "
                "source from others tells the class"
            )


def _not_compared(audit: Audit) -> Iterator[str]:
    if audit.manifest is None or audit.manifest.patients is None:
        yield (
            "patients were not compared, for no manifest names them: one patient may be in train "
            "and in test, and the figures then too good"
        )
    if audit.has_leaks:
        count = len(audit.leaks)
        yield (
            f"it was trained though {count} leak{'' if count == 1 else 's'} between splits or "
            "classes were found: the figures are too good"
        )
