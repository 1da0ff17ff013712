"""On how many devices a network is trained: `tf.distribute`, whose batches are split among them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import keras

from app.xray.errors import TrainingError

if TYPE_CHECKING:
    from training.recipes.config import StrategyName


def choose_strategy(name: StrategyName) -> Any:
    """A `tf.distribute.Strategy`, or None for a single device.

    "auto" is "mirrored" where there are several GPUs, else "one". "mirrored" takes all GPUs of this
    machine, or all logical CPUs where there is none.

    Raises:
        TrainingError: there is a single device, or Keras runs on another backend.
    """
    has_tensorflow = keras.backend.backend() == "tensorflow"
    if name == "one" or (name == "auto" and not has_tensorflow):
        return None
    if not has_tensorflow:
        raise TrainingError(f"--strategy {name}: needs Keras on TensorFlow: KERAS_BACKEND")
    import tensorflow as tf

    gpus, cpus = (tf.config.list_logical_devices(kind) for kind in ("GPU", "CPU"))
    if name == "auto" and len(gpus) < 2:
        return None
    devices = [device.name for device in gpus or cpus]
    if len(devices) < 2:
        raise TrainingError(f"--strategy mirrored: there is only one device, {devices[0]}")
    return tf.distribute.MirroredStrategy(devices)


def spread(network: Any, strategy: Any) -> Any:
    """The like of `network`, with its weights, that trains on the devices of `strategy`.

    Each has a part of every batch. Batch normalization takes its mean and variance over all parts,
    so that what is learned depends on the batch and not on how many share it.
    """
    text = json.dumps(network.get_config())
    config = json.loads(text.replace('"synchronized": false', '"synchronized": true'))
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(network.dtype_policy)  # by it `compile` scales the loss
    try:
        with strategy.scope():
            spread_out = keras.Model.from_config(config)
    finally:
        keras.config.set_dtype_policy(before)
    spread_out.set_weights(network.get_weights())
    return spread_out
