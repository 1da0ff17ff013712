"""A checkpoint, its contract and an engine -> what the service says about a radiograph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from app.engines import create_engine
from app.xray.checkpoint import read_checkpoint, refuse_unless_distributions
from app.xray.errors import CheckpointCorrupt, EngineError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.engines.engine import Engine
    from app.settings import Settings
    from app.xray.checkpoint import Checkpoint

DEFAULT_OPERATING_POINT: Final = 0.5
"""Where the contract fits none: a class must be likelier than all others together."""

UNCALIBRATED: Final = (
    "The model is not calibrated: read its probabilities as an order, not as frequencies."
)


@dataclass(frozen=True)
class Prediction:
    """The answer for one radiograph; `probabilities` in contract order, summing to 1."""

    label: str
    confidence: float
    probabilities: dict[str, float]
    uncertain: bool
    warnings: tuple[str, ...]


class Classifier:
    """A loaded model; as many calls to `predict` may overlap as its engine allows."""

    def __init__(self, checkpoint: Checkpoint, engine: Engine) -> None:
        self.checkpoint = checkpoint
        self.contract = checkpoint.contract
        self.engine = engine

    def warm_up(self) -> None:
        """Answer a canary in every size of batch that the engine plans for apart.

        So that no client waits for what is built lazily.

        Raises:
            CheckpointCorrupt: the answer is no distribution over the classes.
        """
        shape = self.contract.input_shape
        canary = np.linspace(0, 1, np.prod(shape), dtype=np.float32).reshape(1, *shape)
        for size in self.engine.batching.sizes:
            try:
                answer = self.engine.predict(np.repeat(canary, size, axis=0)).probabilities
            except Exception as error:  # an engine raises whatever the network leads it to
                raise CheckpointCorrupt(
                    f"{self.checkpoint.path}: the model cannot be run: {error}"
                ) from error
            refuse_unless_distributions(answer, self.checkpoint)

    def predict(self, batch: NDArray[np.float32]) -> list[Prediction]:
        """Classify model inputs, float32 (n, height, width, 3), in order.

        Raises:
            EngineError: the network gave no numbers for one of them.
        """
        calibrated = self.contract.calibrate(self.engine.predict(batch).probabilities)
        if not np.isfinite(calibrated).all():
            raise EngineError("the network gave probabilities that are not finite")
        return [self._describe(row) for row in calibrated]

    def _describe(self, row: NDArray[np.float64]) -> Prediction:
        contract = self.contract
        probabilities = dict(zip(contract.classes, row.tolist(), strict=True))
        label = max(probabilities, key=probabilities.__getitem__)
        reached = any(
            probability >= contract.operating_points.get(name, DEFAULT_OPERATING_POINT)
            for name, probability in probabilities.items()
        )
        return Prediction(
            label=label,
            confidence=probabilities[label],
            probabilities=probabilities,
            uncertain=not reached,
            warnings=() if contract.is_calibrated else (UNCALIBRATED,),
        )


def load_classifier(settings: Settings) -> Classifier:
    """Read the checkpoint that the settings name, build its engine and warm it up.

    Raises:
        CheckpointError: as `read_checkpoint`, `create_engine` and `Classifier.warm_up`.
        EngineError: as `create_engine`.
    """
    checkpoint = checkpoint_of(settings)
    engine = create_engine(
        checkpoint, settings.engine, device=settings.device, cache_dir=settings.cache_dir
    )
    classifier = Classifier(checkpoint, engine)
    classifier.warm_up()
    return classifier


def checkpoint_of(settings: Settings) -> Checkpoint:
    """The checkpoint that the settings name, inspected. Raises as `read_checkpoint`."""
    return read_checkpoint(
        settings.model_path, sha256=settings.model_sha256, classes=settings.classes
    )
