"""A checkpoint, its contract and an engine -> what the service says about a radiograph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from app.engines import create_engine
from app.xray.checkpoint import read_checkpoint, refuse_unless_distributions
from app.xray.errors import CheckpointCorrupt, EngineError
from app.xray.gate import summarise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.engines.engine import Engine, Output
    from app.settings import Settings
    from app.xray.checkpoint import Checkpoint

DEFAULT_OPERATING_POINT: Final = 0.5
"""Where the contract fits none: a class must be likelier than all others together."""

UNCALIBRATED: Final = (
    "The model is not calibrated: read its probabilities as an order, not as frequencies."
)
UNGATED: Final = "The model has no gate: it takes any picture for a chest X-ray."
STRANGE: Final = (
    "This does not look like a frontal chest X-ray (score {score:.2f}, threshold {threshold:.2f}): "
    "do not trust the answer."
)


class Verdict(NamedTuple):
    """What the gate makes of a picture."""

    score: float
    threshold: float

    @property
    def is_strange(self) -> bool:
        """Whether the picture is taken for no chest X-ray."""
        return self.score > self.threshold


@dataclass(frozen=True)
class Prediction:
    """The answer for one radiograph; `probabilities` in contract order, summing to 1.

    `verdict` is None where no gate was asked. `feature_map`, float32 (rows, columns, channels), and
    `pooled`, float32 (features,), are what the network made of the picture.
    """

    label: str
    confidence: float
    probabilities: dict[str, float]
    uncertain: bool
    warnings: tuple[str, ...]
    verdict: Verdict | None
    feature_map: NDArray[np.float32]
    pooled: NDArray[np.float32]


class Classifier:
    """A loaded model; as many calls to `predict` may overlap as its engine allows.

    `ood` says whether the contract's gate is asked ("off": it is not).
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        engine: Engine,
        *,
        ood: Literal["refuse", "warn", "off"] = "refuse",
    ) -> None:
        self.checkpoint = checkpoint
        self.contract = checkpoint.contract
        self.engine = engine
        self._gate = None if ood == "off" else self.contract.ood
        is_ungated = ood != "off" and self.contract.ood is None
        self._warnings = (UNCALIBRATED,) * (not self.contract.is_calibrated) + (
            UNGATED,
        ) * is_ungated

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
        output = self.engine.predict(batch, with_features=True)
        calibrated = self.contract.calibrate(output.probabilities)
        if not np.isfinite(calibrated).all():
            raise EngineError("the network gave probabilities that are not finite")
        verdicts = self._judge(output)
        return [
            self._describe(row, verdict, feature_map, pooled)
            for row, verdict, feature_map, pooled in zip(
                calibrated, verdicts, output.feature_map, output.pooled, strict=True
            )
        ]

    def _judge(self, output: Output) -> list[Verdict | None]:
        if self._gate is None:
            return [None] * len(output.probabilities)
        scores = self._gate.score(summarise(output.feature_map))
        return [Verdict(score, self._gate.threshold) for score in scores.tolist()]

    def _describe(
        self,
        row: NDArray[np.float64],
        verdict: Verdict | None,
        feature_map: NDArray[np.float32],
        pooled: NDArray[np.float32],
    ) -> Prediction:
        contract = self.contract
        probabilities = dict(zip(contract.classes, row.tolist(), strict=True))
        label = max(probabilities, key=probabilities.__getitem__)
        reached = any(
            probability >= contract.operating_points.get(name, DEFAULT_OPERATING_POINT)
            for name, probability in probabilities.items()
        )
        strange = (STRANGE.format(**verdict._asdict()),) if verdict and verdict.is_strange else ()
        return Prediction(
            label=label,
            confidence=probabilities[label],
            probabilities=probabilities,
            uncertain=not reached,
            warnings=strange + self._warnings,
            verdict=verdict,
            feature_map=feature_map,
            pooled=pooled,
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
    classifier = Classifier(checkpoint, engine, ood=settings.ood)
    classifier.warm_up()
    return classifier


def checkpoint_of(settings: Settings) -> Checkpoint:
    """The checkpoint that the settings name, inspected. Raises as `read_checkpoint`."""
    return read_checkpoint(
        settings.model_path, sha256=settings.model_sha256, classes=settings.classes
    )
