"""What a network gives: probabilities made of its numbers, and made honest by a temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Output = Literal["softmax", "sigmoid-one", "sigmoid", "logits"]
"""How a network ends.

- "softmax": one probability for each class, which sum to 1.
- "sigmoid-one": one probability p alone, that of the second of two classes; the first has 1 - p.
- "sigmoid": one probability for each class by itself ("multi-label": none, one or several are
  there), which need not sum to 1.
- "logits": one number for each class, of which the softmax is to be taken; or one alone, of which
  the sigmoid is the probability of the second of two classes.
"""
_LEAST: Final = np.finfo(np.float64).tiny


def network_outputs(output: Output, classes: int) -> tuple[int, ...]:
    """How many numbers a network may give that ends in `output` and has that many classes."""
    if output == "sigmoid-one":
        return (1,)
    return (classes, 1) if output == "logits" and classes == 2 else (classes,)


def to_probabilities(
    numbers: NDArray[np.floating[Any]], output: Output
) -> NDArray[np.floating[Any]]:
    """The probabilities (n, classes) in what a network gave, (n, outputs), in the same type.

    `numbers` that are probabilities of the classes already come back as they are.
    """
    if output == "sigmoid-one":
        return np.concatenate([1 - numbers, numbers], axis=1)
    if output == "logits":
        logits = numbers.astype(np.float64)
        if logits.shape[1] == 1:
            logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
        return _softmax(logits).astype(numbers.dtype)
    return numbers


def temper(
    probabilities: NDArray[np.floating[Any]],
    temperature: float,
    offsets: NDArray[np.float64],
    *,
    multi_label: bool,
) -> NDArray[np.float64]:
    """Probabilities (n, classes), float64, whose logits `offsets` moved and `temperature` divided.

    Temperature scaling (Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2)
    with a constant for each class, float64 (classes,) in nats (Alexandari et al. 2020, "Maximum
    Likelihood with Bias-Corrected Calibration is Hard-To-Beat at Label Shift Adaptation", section
    3.2). The constants come first, so that no temperature changes which class is likeliest.

    The logarithm of a softmax is its logits but for a constant, which the next softmax takes out
    again, so a checkpoint that ends in a softmax need not be cut open. Each row sums to 1, unless
    `multi_label`: there each class is the sigmoid of its own logit, log p - log (1 - p).
    """
    exact = probabilities.astype(np.float64)
    logits = np.log(np.maximum(exact, _LEAST))
    if not multi_label:
        return _softmax((logits + offsets) / temperature)
    logits = (logits - np.log(np.maximum(1 - exact, _LEAST)) + offsets) / temperature
    tempered: NDArray[np.float64] = 0.5 * (1 + np.tanh(0.5 * logits))  # which overflows nowhere
    return tempered


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers: NDArray[np.float64] = np.exp(logits - logits.max(axis=-1, keepdims=True))
    powers /= powers.sum(axis=-1, keepdims=True)
    return powers
