"""On how many devices a network is trained: `tf.distribute`, whose batches are split among them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import keras

from app.xray.errors import TrainingError

if TYPE_CHECKING:
    from training.recipes.config import StrategyName
    from training.train.batches import TrainingBatches


def choose_strategy(name: StrategyName) -> Any:
    """A `tf.distribute.Strategy`, or None for a single device.

    "auto" is "mirrored" where there are several GPUs, else "one". "mirrored" takes all GPUs of this
    machine, or all logical CPUs where there is none; "multiworker" those of all machines that the
    variable TF_CONFIG names. To be called before anything has run on TensorFlow.

    Raises:
        TrainingError: there is a single device, or no TF_CONFIG, or Keras runs on another backend.
    """
    has_tensorflow = keras.backend.backend() == "tensorflow"
    if name == "one" or (name == "auto" and not has_tensorflow):
        return None
    if not has_tensorflow:
        raise TrainingError(f"--strategy {name}: needs Keras on TensorFlow: KERAS_BACKEND")
    import tensorflow as tf

    if name == "multiworker":
        if "TF_CONFIG" not in os.environ:
            raise TrainingError(
                "--strategy multiworker: TF_CONFIG is not set; on each machine it names all of "
                "them, and which one this is"
            )
        return _workers()
    gpus, cpus = (tf.config.list_logical_devices(kind) for kind in ("GPU", "CPU"))
    if name == "auto" and len(gpus) < 2:
        return None
    devices = [device.name for device in gpus or cpus]
    if len(devices) < 2:
        raise TrainingError(f"--strategy mirrored: there is only one device, {devices[0]}")
    return tf.distribute.MirroredStrategy(devices)


def _workers() -> Any:
    import tensorflow as tf

    class Workers(tf.distribute.MultiWorkerMirroredStrategy):  # type: ignore[misc]
        """Takes the mean of figures, too, which Keras (3.15) asks for as if they were lists."""

        def reduce(self, reduce_op: Any, value: Any, axis: int | None = None) -> Any:
            here = self.experimental_local_results(value)[0]
            is_figure = tf.is_tensor(here) and here.shape.rank == 0
            return super().reduce(reduce_op, value, axis=None if is_figure else axis)

    return Workers()


def is_chief(strategy: Any) -> bool:
    """Whether this process is the one that writes: the chief, or where there is none worker 0."""
    resolver = strategy.cluster_resolver if strategy else None
    if resolver is None or resolver.task_type is None:
        return True
    if "chief" in resolver.cluster_spec().jobs:
        return bool(resolver.task_type == "chief")
    return bool(resolver.task_type == "worker" and resolver.task_id == 0)


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
    weights = network.get_weights()
    spread_out.set_weights(_agreed(weights, strategy) if _has_workers(strategy) else weights)
    return spread_out


def _agreed(weights: list[Any], strategy: Any) -> list[Any]:
    """The mean over all workers, whose machines may round otherwise as each trains its own head."""
    import tensorflow as tf

    def mean() -> Any:
        context = tf.distribute.get_replica_context()
        return [
            context.all_reduce("MEAN", tf.constant(array)) if array.dtype.kind == "f" else array
            for array in weights
        ]

    return [
        strategy.experimental_local_results(value)[0] if tf.is_tensor(value) else value
        for value in strategy.run(mean)
    ]


def _has_workers(strategy: Any) -> bool:
    import tensorflow as tf

    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def build_on_workers(network: Any, strategy: Any, batches: TrainingBatches) -> None:
    """Make the variables of optimizer and metrics on every worker, for such batches.

    Keras does so itself as `fit` begins, but takes the mean of a batch over all workers for it,
    which fails: TensorFlow takes that of a tensor, not of a pair (Keras 3.15).
    """
    if _has_workers(strategy):
        with strategy.scope():
            network._symbolic_build(data_batch=batches[0])
        network._maybe_symbolic_build = lambda **_: None
