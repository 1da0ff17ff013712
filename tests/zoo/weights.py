"""Weights drawn at random for a network of the zoo, so that it answers as a trained one does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SPREAD: Final = 1.2
"""Of each logit over the pictures: the answers are sure of some and not of others."""


def settle(keras: Any, model: Any, inputs: NDArray[np.float32], seed: int) -> None:
    """Have `model` answer each of `inputs`, (n, height, width, channels), otherwise.

    Batch normalization gets the statistics of `inputs`: with those that it starts with a signal
    dies on its way through many layers. Then the last layer is drawn so that each logit has a mean
    of 0 and a deviation of `SPREAD` over the pictures.
    """
    model(inputs[:1])  # builds what was not yet
    norms = [layer for layer in _flat(keras, model) if "BatchNormalization" in type(layer).__name__]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    if norms:
        model(inputs, training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
    head = [layer for layer in _flat(keras, model) if type(layer).__name__ == "Dense"][-1]
    features = _before_head(keras, model, inputs)
    kernel = np.random.default_rng(seed).normal(size=head.get_weights()[0].shape)
    logits = features.astype(np.float64) @ kernel
    assert np.all(logits.std(axis=0) > 1e-3 * np.abs(features).mean()), "its features are constant"
    kernel *= SPREAD / logits.std(axis=0)
    bias = -(features.astype(np.float64) @ kernel).mean(axis=0)
    head.set_weights([kernel, bias][: len(head.get_weights())])


def _flat(keras: Any, model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _flat(keras, layer)
        else:
            yield layer


def _before_head(keras: Any, model: Any, inputs: Any) -> NDArray[np.float32]:
    """What goes into the last dense layer, which ends `model` or the last model in it."""
    if isinstance(model, keras.Sequential):
        *front, last = model.layers
        x = inputs
        for layer in front:
            if type(layer).__name__ == "Dense" and type(last).__name__ == "Activation":
                break
            x = layer(x, training=False) if _tells_training(keras, layer) else layer(x)
        if isinstance(last, keras.Model):
            return _before_head(keras, last, x)
        return np.asarray(x)
    head = [layer for layer in model.layers if type(layer).__name__ == "Dense"][-1]
    return np.asarray(keras.Model(model.input, head.input)(inputs, training=False))


def _tells_training(keras: Any, layer: Any) -> bool:
    kinds = ("BatchNormalization", "Dropout", "RandomFlip", "RandomRotation", "RandomZoom")
    return isinstance(layer, keras.Model) or type(layer).__name__ in kinds
