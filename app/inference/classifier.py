"""A checkpoint, its contract and an engine -> what the service says about a radiograph."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import compress
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from app.xray.checkpoint.read import refuse_unless_probabilities
from app.xray.errors import CheckpointCorrupt, EngineError, NotExplainable
from app.xray.gate import Sight, second_look, summarise
from app.xray.grad_cam import heat_map
from app.xray.preprocess import can_be_turned, negative, to_levels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.inference.engines.engine import Engine, Output
    from app.xray.checkpoint import Checkpoint
    from app.xray.gate import Verdict

UNCALIBRATED: Final = (
    "The model is not calibrated: read its probabilities as an order, not as frequencies."
)
UNGATED: Final = "The model has no gate: it takes any picture for a chest X-ray."
STRANGE: Final = (
    "This does not look like a frontal chest X-ray (score {score:.2f}, threshold {threshold:.2f}): "
    "do not trust the answer."
)
IMPRECISE: Final = (
    "All of the network is computed in bf16, as CXR_PRECISION demands: what that does to its "
    "answers was not judged."
)
NEGATIVE: Final = (
    "The picture looks like the negative of a chest X-ray, black for white: its negative was "
    "answered."
)


@dataclass(frozen=True)
class Prediction:
    """The answer for one radiograph; `probabilities` in contract order.

    They sum to 1, unless the contract is `multi_label`. `prediction_set` has the classes that reach
    their operating points, in contract order. An answer is `uncertain` as `ModelContract` has it.
    `verdict` is None where no gate was asked; `is_negative` says that the answer is for the
    picture's negative. `feature_map`, float32 (rows, columns, channels), and `pooled`, float32
    (features,), are what the network made of it, None where it has no map.
    """

    label: str
    confidence: float
    probabilities: dict[str, float]
    prediction_set: tuple[str, ...]
    uncertain: bool
    warnings: tuple[str, ...]
    verdict: Verdict | None = None
    is_negative: bool = False
    feature_map: NDArray[np.float32] | None = None
    pooled: NDArray[np.float32] | None = None

    @property
    def is_strange(self) -> bool:
        """Whether the gate takes the picture for no chest X-ray."""
        return self.verdict is not None and self.verdict.is_strange


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
        self._warnings: tuple[str, ...] = ()
        if checkpoint.assumption is not None:
            self._warnings += (checkpoint.assumption,)
        if not self.contract.is_calibrated:
            self._warnings += (UNCALIBRATED,)
        if ood != "off" and self.contract.ood is None:
            self._warnings += (UNGATED,)
        if engine.precision == "bf16":
            self._warnings += (IMPRECISE,)

    def warm_up(self) -> None:
        """Answer a canary in every size of batch that the engine plans for apart.

        So that no client waits for what is built lazily.

        Raises:
            CheckpointCorrupt: the answer is no probabilities of the classes, or the gate is not
                that of this network.
        """
        for size in self.engine.batching.sizes:
            self.answer_canary(size)

    def answer_canary(self, size: int = 1) -> None:
        """Run a drawn picture, `size` times in one batch, and look at the answer.

        Raises CheckpointCorrupt as `warm_up`.
        """
        shape = self.contract.input_shape
        canary = np.linspace(0, 1, np.prod(shape), dtype=np.float32).reshape(1, *shape)
        try:
            batch = np.repeat(canary, size, axis=0)
            output = self.engine.predict(batch, with_features=True)
            self._judge(batch, output)
        except Exception as error:  # an engine raises whatever the network leads it to
            raise CheckpointCorrupt(
                f"{self.checkpoint.path}: the model cannot be run: {error}"
            ) from error
        refuse_unless_probabilities(output.probabilities, self.checkpoint)

    def predict(self, batch: NDArray[np.float32]) -> list[Prediction]:
        """Classify model inputs, float32 (n, height, width, channels), in order.

        What the gate refuses gets a second look, black for white (`app.xray.gate.second_look`),
        where that can be told from the input (`app.xray.preprocess.can_be_turned`). Where the gate
        takes that for a chest X-ray, it is what is answered.

        Raises:
            EngineError: the network gave no numbers for one of them.
        """
        predictions = self._predict(batch)
        if not can_be_turned(self.contract):
            return predictions
        passed = second_look(
            predictions,
            lambda strange: self._predict(
                negative(batch[strange], self.contract), as_negatives=True
            ),
        )
        for index, found in passed.items():
            predictions[index] = replace(
                found, is_negative=True, warnings=(NEGATIVE, *found.warnings)
            )
        return predictions

    def heat_maps(self, prediction: Prediction) -> dict[str, NDArray[np.float32]]:
        """Where the picture speaks for each class: float32 (rows, columns), 0 to 1.

        Raises:
            NotExplainable: the network has no map, or a head that cannot be differentiated.
            EngineError: the network gave no numbers.
        """
        if prediction.feature_map is None or prediction.pooled is None:
            raise NotExplainable("this model cannot be explained: it has no feature map")
        (gradients,) = self.engine.gradients(prediction.pooled[None])
        return {
            name: heat_map(prediction.feature_map, gradients, label)
            for label, name in enumerate(self.contract.classes)
        }

    def _predict(
        self, batch: NDArray[np.float32], *, as_negatives: bool = False
    ) -> list[Prediction]:
        output = self.engine.predict(batch, with_features=True)
        calibrated = self.contract.calibrate(output.probabilities)
        if not np.isfinite(calibrated).all():
            raise EngineError("the network gave probabilities that are not finite")
        verdicts = self._judge(batch, output, as_negatives=as_negatives)
        sets = self.contract.prediction_sets(calibrated)
        uncertain = self.contract.is_uncertain(calibrated, sets).tolist()
        return [
            self._describe(output, i, calibrated[i], sets[i], verdicts[i], uncertain=uncertain[i])
            for i in range(len(batch))
        ]

    def _judge(
        self, batch: NDArray[np.float32], output: Output, *, as_negatives: bool = False
    ) -> list[Verdict] | list[None]:
        if self._gate is not None:
            feature_map = output.feature_map
            sight = Sight(
                pixels=lambda: to_levels(batch, self.contract),
                summaries=None if feature_map is None else lambda: summarise(feature_map),
            )
            verdicts = self._gate.judge(sight, as_negatives=as_negatives)
            if verdicts is not None:
                return verdicts
        return [None] * len(batch)

    def _describe(
        self,
        output: Output,
        index: int,
        row: NDArray[np.float64],
        reached: NDArray[np.bool_],
        verdict: Verdict | None,
        *,
        uncertain: bool,
    ) -> Prediction:
        classes = self.contract.classes
        probabilities = dict(zip(classes, row.tolist(), strict=True))
        label = max(probabilities, key=probabilities.__getitem__)
        strange = (STRANGE.format(**verdict._asdict()),) if verdict and verdict.is_strange else ()
        return Prediction(
            label=label,
            confidence=probabilities[label],
            probabilities=probabilities,
            prediction_set=tuple(compress(classes, reached)),
            uncertain=uncertain,
            warnings=strange + self._warnings,
            verdict=verdict,
            feature_map=None if output.feature_map is None else output.feature_map[index],
            pooled=None if output.pooled is None else output.pooled[index],
        )
