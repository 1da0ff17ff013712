"""Answers to two views of one picture, held together by the loss."""

from __future__ import annotations

from typing import Any, Final

import keras
from keras import ops

PAIR: Final = 2
"""How often each picture of a batch stands in it, one view after the other."""


class Consistent(keras.Model):  # type: ignore[misc]  # keras has no types
    """The network `plain`, its weights its own too, whose loss asks for like answers to two views.

    In training the rows of a batch are pairs, see `PAIR`, and the loss grows by `weight` times
    `disagreement`. In validation the loss is that of `plain`.
    """

    def __init__(self, plain: Any, weight: float) -> None:
        super().__init__(inputs=plain.inputs, outputs=plain.outputs[0], name=plain.name)
        self._weight = weight

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,  # Keras' signature
    ) -> Any:
        """The loss of one batch, a scalar."""
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        return loss + self._weight * disagreement(y_pred) if training else loss


def disagreement(answers: Any) -> Any:
    """How far the answers to two views of a picture lie apart, in nats, the mean over the pairs.

    `answers` are probabilities (2 n, classes) whose rows 2 i and 2 i + 1 belong together. It is
    the Jensen-Shannon divergence, from 0 to log 2, as in the loss of AugMix (Hendrycks et al. 2020,
    arXiv:1912.02781, section 3).
    """
    pairs = ops.clip(ops.reshape(answers, (-1, PAIR, answers.shape[-1])), 1e-7, 1.0)
    middle = ops.mean(pairs, axis=1, keepdims=True)
    divergences = ops.sum(pairs * (ops.log(pairs) - ops.log(middle)), axis=-1)
    return ops.mean(divergences)
