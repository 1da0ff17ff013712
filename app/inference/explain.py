"""An answer, and where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from PIL import ImageOps

from app.inference.overlay import gray_layer, heat_layer, overlay
from app.xray.errors import NotExplainable
from app.xray.heat import within
from app.xray.preprocess import seen_part

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from app.inference.classifier import Classifier, Prediction


class Explanation(NamedTuple):
    """An answer, and a PNG file: the picture under its heat map."""

    prediction: Prediction
    png: bytes


class LayeredExplanation(NamedTuple):
    """An answer, the picture, and what speaks for each class, to be stretched over it: PNG files.

    A class that nothing speaks for is not in `heat`, which is None where answers cannot be led
    back to places.
    """

    prediction: Prediction
    picture: bytes
    heat: dict[str, bytes] | None


def explain(
    classifier: Classifier, prediction: Prediction, picture: Image.Image, name: str
) -> Explanation:
    """What speaks for the class `name`; `picture` as `app.inference.overlay.thumbnail` gives it.

    Raises:
        NotExplainable: the model's answers cannot be led back to places.
    """
    shown = _as_answered(picture, prediction)
    heat = _over(shown, classifier.heat_maps(prediction)[name], classifier)
    probability = prediction.probabilities[name]
    return Explanation(prediction, overlay(shown, heat, label=name, probability=probability))


def explain_in_layers(
    classifier: Classifier, prediction: Prediction, picture: Image.Image
) -> LayeredExplanation:
    """What speaks for each class, where that can be told; `picture` as in `explain`."""
    shown = _as_answered(picture, prediction)
    try:
        maps = classifier.heat_maps(prediction)
    except NotExplainable:
        return LayeredExplanation(prediction, gray_layer(shown), None)
    heat = {
        name: heat_layer(_over(shown, heat, classifier), shown.size)
        for name, heat in maps.items()
        if heat.any()
    }
    return LayeredExplanation(prediction, gray_layer(shown), heat)


def _over(
    picture: Image.Image, heat: NDArray[np.float32], classifier: Classifier
) -> NDArray[np.float32]:
    """The heat of what the network saw of `picture`, as that of all of it."""
    return within(heat, seen_part(picture.size, classifier.contract), picture.size)


def _as_answered(picture: Image.Image, prediction: Prediction) -> Image.Image:
    return ImageOps.invert(picture) if prediction.is_negative else picture
