"""The reference engine: TensorFlow, on the GPU where there is one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from app.xray.errors import EngineError
from app.xray.network import build_network, import_keras

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.engines import Device
    from app.xray.checkpoint import Checkpoint


class TensorFlowEngine:
    """One `tf.function` with one input signature, so that no batch size traces it again."""

    name = "tensorflow"

    def __init__(self, checkpoint: Checkpoint, *, device: Device = "auto") -> None:
        if device == "cpu":  # do not even ask CUDA, which complains where there is none
            os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
        import_keras()
        import tensorflow as tf

        self.device = _choose_device(tf, device)
        network = build_network(checkpoint)
        shape = (None, *checkpoint.contract.input_shape)

        @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)])  # type: ignore[untyped-decorator]
        def forward(batch: Any) -> Any:
            return network(batch, training=False)

        self._forward = forward

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `Engine.predict`."""
        return np.asarray(self._forward(batch).numpy(), dtype=np.float32)


def _choose_device(tf: Any, device: Device) -> str:
    """Let TensorFlow see only what is asked for, and take GPU memory as it is needed."""
    gpus = tf.config.list_physical_devices("GPU")
    if device == "gpu" and not gpus:
        raise EngineError("CXR_DEVICE=gpu: TensorFlow sees no GPU; expected auto or cpu here")
    if device == "cpu" or not gpus:
        tf.config.set_visible_devices([], "GPU")
        return "cpu"
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, enable=True)
    return "gpu"
