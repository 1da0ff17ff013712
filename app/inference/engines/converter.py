"""Keras network -> LiteRT models, held against the network that they were made of.

Runs in a process of its own: it loads TensorFlow.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from app.inference.engines.engine import Output
from app.inference.engines.litert import CompiledGradients, LiteRTEngine
from app.runtime.children import be_a_quiet_child
from app.xray.checkpoint.read import refuse_unless_distributions
from app.xray.errors import EngineError, NotExplainable
from app.xray.grad_cam import build_gradients
from app.xray.network import build_network, expose_features
from app.xray.preprocess import rescale
from app.xray.probes import TOLERANCE, draw_probes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from app.xray.checkpoint import Checkpoint

_GRADIENT_TOLERANCE: Final = 1e-2
"""How far a compiled gradient may lie from the reference's, as a part of that picture's largest:
far less than an eye finds in a heat map."""

_NOT_IN_LITERT: Final = re.compile(r"'tf\.(\w+)' op is neither")
"""How the converter's message, of many lines, names an operation."""


class Converted(NamedTuple):
    """What `convert` found beside the model that it wrote."""

    largest_difference: float
    """Between its probabilities and the reference's."""
    gradients: bytes | None
    """A second LiteRT model, for `CompiledGradients`; None where the network has none."""
    not_explainable: str | None
    """Why it has none."""


def be_a_converter() -> None:
    """Make this process a quiet child that leaves the GPU to its parent."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    be_a_quiet_child()


def convert(checkpoint: Checkpoint, path: Path) -> Converted:
    """Write the LiteRT model of `checkpoint` to `path`; give its gradients beside it.

    A network that cannot be explained is served all the same.

    Raises:
        CheckpointCorrupt: the network cannot be rebuilt.
        EngineError: it cannot be converted, or answers otherwise than the network, see `compare`.
    """
    network = expose_features(build_network(checkpoint))
    path.write_bytes(_to_litert(network))
    probes = rescale(draw_probes(checkpoint.contract), checkpoint.contract)
    found = network(probes, training=False)
    reference = Output(**{name: np.asarray(tensor) for name, tensor in found.items()})
    refuse_unless_distributions(reference.probabilities, checkpoint)
    compiled = LiteRTEngine(path, threads=1).predict(probes).probabilities
    difference = compare(reference.probabilities, compiled)
    try:
        return Converted(difference, _convert_gradients(network, reference), None)
    except NotExplainable as error:
        return Converted(difference, None, str(error))


def compare(reference: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """The largest difference between two engines' probabilities (n, classes) of the same inputs.

    Raises:
        EngineError: it is above `TOLERANCE`, or a label differs.
    """
    difference = float(np.abs(reference - found).max())
    others = int((reference.argmax(axis=1) != found.argmax(axis=1)).sum())
    if not difference <= TOLERANCE or others:
        raise EngineError(
            f"the compiled model departs from TensorFlow by up to {difference:.2g} (allowed: "
            f"{TOLERANCE:g}), with another label for {others} of {len(reference)} pictures; "
            "CXR_ENGINE=tensorflow serves this checkpoint"
        )
    return difference


def compare_gradients(reference: NDArray[np.float32], found: NDArray[np.float32]) -> None:
    """Hold compiled gradients (n, classes, features) against the reference's.

    Raises:
        NotExplainable: they depart by more than `_GRADIENT_TOLERANCE`, or are no numbers.
    """
    largest = np.abs(reference).max(axis=(1, 2))
    difference = np.abs(reference - found).max(axis=(1, 2))
    if not bool(np.all(difference <= _GRADIENT_TOLERANCE * largest)):
        raise NotExplainable(
            f"its compiled gradients depart from TensorFlow's by up to {difference.max():.2g}, "
            f"where they reach {largest.max():.2g}"
        )


def _convert_gradients(network: Any, reference: Output) -> bytes:
    gradients = build_gradients(network, reference.pooled, reference.probabilities)
    pooled = reference.pooled
    assert pooled is not None  # noqa: S101  # build_gradients has refused a network without
    converted = _gradients_to_litert(gradients, pooled.shape[1])
    compare_gradients(np.asarray(gradients(pooled)), CompiledGradients(converted)(pooled))
    return converted


def _to_litert(network: Any) -> bytes:
    import tensorflow as tf

    try:
        converted: bytes = tf.lite.TFLiteConverter.from_keras_model(network).convert()
    except Exception as error:  # the converter raises whatever a layer leads it to
        raise EngineError(f"TensorFlow cannot compile the network: {error}") from error
    return converted


def _gradients_to_litert(gradients: Any, features: int) -> bytes:
    """For one picture at a time, as the network itself."""
    import tensorflow as tf

    try:
        shape = tf.TensorSpec((1, features), tf.float32)
        traced = tf.function(gradients, input_signature=[shape], autograph=False)
        # Without an object that tracks the weights they are frozen into the model.
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [traced.get_concrete_function()]
        )
        converted: bytes = converter.convert()
    except Exception as error:  # the converter raises whatever a layer leads it to
        missing = sorted(set(_NOT_IN_LITERT.findall(str(error))))
        reason = f"LiteRT has no {', '.join(missing)}" if missing else type(error).__name__
        raise NotExplainable(f"its gradients cannot be compiled: {reason}") from error
    return converted
