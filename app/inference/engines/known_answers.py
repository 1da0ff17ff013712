"""An engine, held against the answers that the training framework gave for the probe pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from app.xray.errors import EngineError
from app.xray.preprocess import rescale
from app.xray.probes import TOLERANCE, draw_probes

if TYPE_CHECKING:
    from app.inference.engines.engine import Engine
    from app.xray.checkpoint import Checkpoint


def departure(engine: Engine, checkpoint: Checkpoint) -> float | None:
    """The largest difference from the contract's known answers; None where it has none.

    Raises:
        EngineError: a label differs, or they are not of the probe pictures of this version.
    """
    contract = checkpoint.contract
    if not contract.known_answers:
        return None
    known = np.array(contract.known_answers)
    found = engine.predict(rescale(draw_probes(contract), contract)).probabilities
    if found.shape != known.shape:
        raise EngineError(
            f"{checkpoint.path}: its known answers are of {len(known)} pictures, not {len(found)}"
        )
    difference = float(np.abs(found - known).max())
    others = int((found.argmax(axis=1) != known.argmax(axis=1)).sum())
    if others or not np.isfinite(difference):
        raise _departed(engine, checkpoint, difference, f", {others} with another label")
    return difference


def hold(engine: Engine, checkpoint: Checkpoint) -> float | None:
    """As `departure`, which must not be above `TOLERANCE`.

    Raises:
        EngineError: it is, or as `departure`; says how far it departs, and how far it may.
    """
    difference = departure(engine, checkpoint)
    if difference is not None and difference > TOLERANCE:
        raise _departed(engine, checkpoint, difference, "")
    return difference


def _departed(
    engine: Engine, checkpoint: Checkpoint, difference: float, besides: str
) -> EngineError:
    return EngineError(
        f"{checkpoint.path}: the engine {engine.name} departs from the answers that the checkpoint "
        f"carries by up to {difference:.2g}{besides} (allowed: {TOLERANCE:g}, the same labels)"
    )
