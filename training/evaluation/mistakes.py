"""The wrong answers that a network is surest of, and where it looked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from app.xray.errors import EngineError, NotExplainable
from app.xray.grad_cam import heat_map, take_head
from app.xray.heat import blend
from app.xray.network import expose_features
from app.xray.preprocess import rescale, to_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.xray.contract import ModelContract
    from app.xray.preprocess.resize import Pixels
    from training.data.dataset import Split
    from training.evaluation.evaluate import Evaluation

COUNT: Final = 12


@dataclass(frozen=True)
class Mistake:
    """One picture that was answered wrongly.

    `file` is relative to the data folder; `source` is "" where none is known. `truth` and `answer`
    are classes, `probability` and `of_truth` the calibrated probabilities of the answer and of the
    true class. `picture` is what the network saw, uint8 (height, width, 3); `heat` the same under
    the heat map of the answer, None where there is none.
    """

    file: str
    source: str
    truth: str
    answer: str
    probability: float
    of_truth: float
    picture: NDArray[np.uint8]
    heat: NDArray[np.uint8] | None


def surest_mistakes(
    evaluation: Evaluation, split: Split, network: Any, *, count: int = COUNT
) -> tuple[Mistake, ...]:
    """The `count` wrong answers of the highest probability, the surest first.

    Of equally sure ones the first by the order of `split` come first. Heat maps are Grad-CAM's
    (`app.xray.grad_cam`), and there only where the head can be explained.

    Args:
        evaluation: of `network`, on `split`.
        split: the pictures.
        network: a Keras model, as `build_network` gives it.
        count: how many at most.

    Raises:
        ValueError: `evaluation` and `split` are not of the same files.
    """
    if evaluation.files != split.files:
        raise ValueError("expected the evaluation of this very split")
    answers = evaluation.probabilities.argmax(axis=1)
    sureness = evaluation.probabilities.max(axis=1)
    wrong = np.flatnonzero(answers != evaluation.labels)
    chosen = wrong[np.argsort(-sureness[wrong], kind="stable")][:count]
    if not len(chosen):
        return ()
    pixels = split.pixels[chosen]
    seen = (to_image(levels, evaluation.contract) for levels in split.levels[chosen])
    pictures = [image.convert("RGB") for image in seen]
    maps = explain(network, evaluation.contract, pixels, answers[chosen])
    return tuple(
        Mistake(
            file=evaluation.files[index],
            source=evaluation.sources[index] if evaluation.sources else "",
            truth=evaluation.classes[evaluation.labels[index]],
            answer=evaluation.classes[answers[index]],
            probability=float(sureness[index]),
            of_truth=float(evaluation.probabilities[index, evaluation.labels[index]]),
            picture=np.asarray(picture),
            heat=None if heat is None else np.asarray(blend(picture, heat)),
        )
        for index, picture, heat in zip(chosen.tolist(), pictures, maps, strict=True)
    )


def explain(
    network: Any, contract: ModelContract, pixels: Pixels, labels: NDArray[np.int64]
) -> list[NDArray[np.float32] | None]:
    """For each picture where the network saw the class `labels` names, float32 (rows, columns).

    `pixels` is as `Split.pixels`. The maps run from 0 to 1, as `heat_map` gives them;
    None stands for each that cannot be made.
    """
    nothing: list[NDArray[np.float32] | None] = [None] * len(pixels)
    exposed = expose_features(network)
    found = exposed.predict_on_batch(rescale(pixels, contract))
    try:
        probabilities = contract.probabilities_of(found["probabilities"])
        head = take_head(exposed, found.get("pooled"), probabilities, contract.output)
        slopes = head.gradients(found["pooled"])
        return [
            heat_map(feature_map, slope, label)
            for feature_map, slope, label in zip(
                found["feature_map"], slopes, labels.tolist(), strict=True
            )
        ]
    except (NotExplainable, EngineError):
        return nothing
