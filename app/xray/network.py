"""An inspected checkpoint -> a Keras model. Keras is imported only when a model is built."""

from __future__ import annotations

import os
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from app.xray.checkpoint import file_sha256
from app.xray.errors import CheckpointCorrupt

if TYPE_CHECKING:
    from app.xray.checkpoint import Checkpoint


def hush_tensorflow() -> None:
    """Have TensorFlow log no less than errors, unless the environment says otherwise.

    Takes effect only before TensorFlow is imported.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def import_keras() -> Any:
    """The `keras` module."""
    hush_tensorflow()
    import keras

    return keras


def build_network(checkpoint: Checkpoint) -> Any:
    """Rebuild the network and load its weights; the optimizer's state is never read.

    Returns a `keras.Model` from float32 (n, height, width, 3) to float32 (n, classes).

    Raises:
        CheckpointCorrupt: configuration, weights and contract do not fit together, or the file
            changed while it was read.
    """
    keras = import_keras()
    is_sequential = checkpoint.config["class_name"] == "Sequential"
    kind = keras.Sequential if is_sequential else keras.Model
    try:
        network = kind.from_config(deepcopy(checkpoint.config["config"]))  # it is used up
        network.load_weights(checkpoint.path)
        shapes = network.input_shape, network.output_shape
    except Exception as error:  # Keras raises whatever the configuration leads it to
        raise CheckpointCorrupt(
            f"{checkpoint.path}: Keras cannot rebuild the model: {error}"
        ) from error
    if file_sha256(checkpoint.path) != checkpoint.sha256:
        raise CheckpointCorrupt(f"{checkpoint.path}: changed while it was read; load it again")
    _compare_with_contract(*shapes, checkpoint)
    return network


def _compare_with_contract(inputs: Any, outputs: Any, checkpoint: Checkpoint) -> None:
    contract = checkpoint.contract
    if inputs != (None, *contract.input_shape):
        raise CheckpointCorrupt(
            f"{checkpoint.path}: the model takes {inputs}, "
            f"the contract says {(None, *contract.input_shape)}"
        )
    if outputs != (None, len(contract.classes)):
        hint = "" if checkpoint.carries_contract else "; CXR_CLASSES names the service's"
        raise CheckpointCorrupt(
            f"{checkpoint.path}: the model gives {outputs}, the contract has "
            f"{len(contract.classes)} classes ({', '.join(contract.classes)}){hint}"
        )
