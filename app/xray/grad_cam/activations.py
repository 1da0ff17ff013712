"""Activations that look at one number at a time, by Keras' names, and their derivatives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_SELU_SCALE: Final = 1.05070098735548049342
_SELU_ALPHA: Final = 1.67326324235437728482
"""Klambauer et al. 2017, "Self-Normalizing Neural Networks", as Keras has them."""


class _Function(NamedTuple):
    value: Callable[[Numbers], Numbers]
    derivative: Callable[[Numbers], Numbers]


@dataclass(frozen=True)
class Rectify:
    """max(x, 0) up to `highest`, plus `slope` times what lies below 0."""

    slope: float | NDArray[np.float32] = 0.0
    highest: float | None = None

    def forward(self, values: Numbers) -> Numbers:
        """What it makes of float64 (n, features)."""
        positive = np.clip(values, 0.0, self.highest)
        return np.where(values < 0, values * self.slope, positive)

    def backward(self, values: Numbers, slopes: Numbers) -> Numbers:
        """As `app.xray.grad_cam.head.Step.backward`; 0 at 0 and at `highest`."""
        rises = (values > 0) & (values < (math.inf if self.highest is None else self.highest))
        return slopes * np.where(values < 0, self.slope, rises)[:, None]


@dataclass(frozen=True)
class Elu:
    """x above 0, `alpha` (e^x - 1) below (Clevert et al. 2015, arXiv:1511.07289)."""

    alpha: float = 1.0
    scale: float = 1.0

    def forward(self, values: Numbers) -> Numbers:
        """What it makes of float64 (n, features)."""
        below = self.alpha * np.expm1(np.minimum(values, 0))
        return self.scale * np.where(values > 0, values, below)

    def backward(self, values: Numbers, slopes: Numbers) -> Numbers:
        """As `app.xray.grad_cam.head.Step.backward`."""
        below = self.alpha * np.exp(np.minimum(values, 0))
        return slopes * (self.scale * np.where(values > 0, 1.0, below))[:, None]


@dataclass(frozen=True)
class Smooth:
    """One of `SMOOTH`, by its name, so that it can be sent to another process."""

    name: str

    def forward(self, values: Numbers) -> Numbers:
        """What it makes of float64 (n, features)."""
        return SMOOTH[self.name].value(values)

    def backward(self, values: Numbers, slopes: Numbers) -> Numbers:
        """As `app.xray.grad_cam.head.Step.backward`."""
        return slopes * SMOOTH[self.name].derivative(values)[:, None]


def _sigmoid(values: Numbers) -> Numbers:
    found: Numbers = 0.5 * (1 + np.tanh(0.5 * values))  # which overflows nowhere
    return found


def _sigmoid_slope(values: Numbers) -> Numbers:
    return _sigmoid(values) * _sigmoid(-values)


def _hard_sigmoid(values: Numbers) -> Numbers:
    return np.clip(values / 6 + 0.5, 0, 1)


def _hard_sigmoid_slope(values: Numbers) -> Numbers:
    return np.where(np.abs(values) < 3, 1 / 6, 0.0)


_error_function: Final = np.vectorize(math.erf, otypes=[np.float64])


def _normal(values: Numbers) -> Numbers:
    """The share of a normal distribution below each value."""
    found: Numbers = 0.5 * (1 + _error_function(values / math.sqrt(2)))
    return found


def _density(values: Numbers) -> Numbers:
    found: Numbers = np.exp(-0.5 * values**2) / math.sqrt(2 * math.pi)
    return found


_SILU: Final = _Function(lambda x: x * _sigmoid(x), lambda x: _sigmoid(x) + x * _sigmoid_slope(x))
_HARD_SILU: Final = _Function(
    lambda x: x * _hard_sigmoid(x), lambda x: _hard_sigmoid(x) + x * _hard_sigmoid_slope(x)
)
SMOOTH: Final = {
    "exponential": _Function(np.exp, np.exp),
    "gelu": _Function(lambda x: x * _normal(x), lambda x: _normal(x) + x * _density(x)),
    "hard_sigmoid": _Function(_hard_sigmoid, _hard_sigmoid_slope),
    "hard_silu": _HARD_SILU,
    "hard_swish": _HARD_SILU,
    "sigmoid": _Function(_sigmoid, _sigmoid_slope),
    "silu": _SILU,
    "softplus": _Function(lambda x: np.logaddexp(x, 0), _sigmoid),
    "softsign": _Function(lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2),
    "swish": _SILU,
    "tanh": _Function(np.tanh, lambda x: 1 - np.tanh(x) ** 2),
}


def by_name(name: str) -> Rectify | Elu | Smooth | None:
    """The activation that Keras calls `name`, with its own settings; None where there is none."""
    if name in SMOOTH:
        return Smooth(name)
    with_parameters: dict[str, Rectify | Elu] = {
        "relu": Rectify(),
        "relu6": Rectify(highest=6.0),
        "leaky_relu": Rectify(slope=0.2),
        "elu": Elu(),
        "selu": Elu(alpha=_SELU_ALPHA, scale=_SELU_SCALE),
    }
    return with_parameters.get(name)
