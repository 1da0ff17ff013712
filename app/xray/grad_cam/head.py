"""The layers behind a network's last map, as numbers: their logits and gradients by NumPy."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from app.xray.grad_cam.activations import Smooth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_LEAST: Final = 1e-30
"""So that a probability that is 0 in float32 has a logarithm, and that a finite slope."""


class Step(Protocol):
    """One layer's part: float64 (n, features) in, (n, features of its own) out."""

    def forward(self, values: Numbers) -> Numbers:
        """What it makes of `values`."""
        ...

    def backward(self, values: Numbers, slopes: Numbers) -> Numbers:
        """Slopes (n, classes, features) towards `values`, of those towards what it makes of them.

        The chain rule: the product of `slopes` and the step's Jacobian at `values`.
        """
        ...


@dataclass(frozen=True)
class Weigh:
    """A dense layer before its activation; `kernel` float32 (features, units)."""

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32] | None

    def forward(self, values: Numbers) -> Numbers:
        """As `Step.forward`."""
        product = values @ self.kernel.astype(np.float64)
        bias = np.zeros(()) if self.bias is None else self.bias.astype(np.float64)
        return np.add(product, bias)

    def backward(self, values: Numbers, slopes: Numbers) -> Numbers:
        """As `Step.backward`."""
        del values
        return slopes @ self.kernel.T.astype(np.float64)


@dataclass(frozen=True)
class Scale:
    """Batch normalization as it infers: a factor and an offset for each feature, float64."""

    factor: Numbers
    offset: Numbers

    def forward(self, values: Numbers) -> Numbers:
        """As `Step.forward`."""
        return values * self.factor + self.offset

    def backward(self, values: Numbers, slopes: Numbers) -> Numbers:
        """As `Step.backward`."""
        del values
        return slopes * self.factor


@dataclass(frozen=True)
class Softmax:
    """Probabilities of all features together."""

    def forward(self, values: Numbers) -> Numbers:
        """As `Step.forward`."""
        powers: Numbers = np.exp(values - values.max(axis=1, keepdims=True))
        powers /= powers.sum(axis=1, keepdims=True)
        return powers

    def backward(self, values: Numbers, slopes: Numbers) -> Numbers:
        """As `Step.backward`."""
        found = self.forward(values)[:, None]
        taken: Numbers = found * (slopes - (slopes * found).sum(axis=2, keepdims=True))
        return taken


@dataclass(frozen=True)
class Pair:
    """One logit to those of two classes: 0 and itself, whose softmax is 1 - p and p."""

    def forward(self, values: Numbers) -> Numbers:
        """As `Step.forward`."""
        return np.concatenate([np.zeros_like(values), values], axis=1)

    def backward(self, values: Numbers, slopes: Numbers) -> Numbers:
        """As `Step.backward`."""
        del values
        return slopes[..., 1:]


@dataclass(frozen=True)
class Complement:
    """One probability to those of two classes: 1 - p and p."""

    def forward(self, values: Numbers) -> Numbers:
        """As `Step.forward`."""
        return np.concatenate([1 - values, values], axis=1)

    def backward(self, values: Numbers, slopes: Numbers) -> Numbers:
        """As `Step.backward`."""
        del values
        return slopes[..., 1:] - slopes[..., :1]


@dataclass(frozen=True)
class Head:
    """A chain of steps from "pooled" to the probabilities, see `expose_features`; picklable.

    With `multi_label` each class is judged by itself, and its probabilities need not sum to 1.
    """

    steps: tuple[Step, ...] = field(repr=False)
    multi_label: bool = False

    def probabilities(self, pooled: NDArray[np.float32]) -> Numbers:
        """What the network gives, float64 (n, classes), for what its head sees, (n, features)."""
        return reduce(lambda values, step: step.forward(values), self.steps, _widen(pooled))

    def gradients(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """How each class's logit depends on each feature, float32 (n, classes, features).

        The logit of a class is taken as log p_c less the mean of all log p_j: what a softmax was
        made of, centred. With `multi_label` it is log p_c - log (1 - p_c). It does not level out
        as p_c comes near 1, as p_c itself does.
        """
        steps = list(self.steps)
        has_logits = steps[-1] == (Smooth("sigmoid") if self.multi_label else Softmax())
        if has_logits:  # they are what it takes, which no rounding has cut off
            steps.pop()
        taken = [_widen(pooled)]
        for step in steps:
            taken.append(step.forward(taken[-1]))
        answers = taken.pop()
        count = answers.shape[1]
        of_logits = np.eye(count) if self.multi_label else np.eye(count) - 1 / count
        slopes = np.broadcast_to(of_logits, (len(pooled), count, count))
        if not has_logits:
            slopes = slopes * _slope_of_logarithm(answers)[:, None]
            if self.multi_label:
                slopes = slopes + of_logits * _slope_of_logarithm(1 - answers)[:, None]
        for step, values in zip(reversed(steps), reversed(taken), strict=True):
            slopes = step.backward(values, slopes)
        return slopes.astype(np.float32)


def _slope_of_logarithm(values: Numbers) -> Numbers:
    """Of each of `values`, 0 to 1: 1 / value, and 0 where there is none."""
    slopes: Numbers = (values > _LEAST) / np.maximum(values, _LEAST)
    return slopes


def _widen(pooled: NDArray[np.float32]) -> Numbers:
    return pooled.astype(np.float64)
