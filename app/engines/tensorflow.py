"""The reference engine: TensorFlow, on the GPU where there is one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from app.engines.engine import Batching, Output
from app.xray.errors import EngineError
from app.xray.network import build_network, expose_features, import_keras

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.engines.engine import Device
    from app.xray.checkpoint import Checkpoint

_BATCHING: Final = {
    "gpu": Batching(max_size=32, max_wait_s=0.005, sizes=(1, 2, 4, 8, 16, 32)),
    "cpu": Batching(max_size=8),
}


class TensorFlowEngine:
    """One `tf.function` with one input signature, so that no batch size traces it again.

    On a GPU, where each new shape is planned anew, batches are filled up to the next planned size.
    """

    name = "tensorflow"
    largest_difference: float | None = None

    def __init__(self, checkpoint: Checkpoint, *, device: Device = "auto") -> None:
        if device == "cpu":  # do not even ask CUDA, which complains where there is none
            os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
        import_keras()
        import tensorflow as tf

        self.device = _choose_device(tf, device)
        self.batching = _BATCHING[self.device]
        network = expose_features(build_network(checkpoint))
        shape = (None, *checkpoint.contract.input_shape)

        @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)])  # type: ignore[untyped-decorator]
        def forward(batch: Any) -> Any:
            return network(batch, training=False)

        self._forward = forward

    def predict(self, batch: NDArray[np.float32], *, with_features: bool = False) -> Output:
        """As `Engine.predict`."""
        count = len(batch)
        if self.device == "gpu":
            size = min((size for size in self.batching.sizes if size >= count), default=count)
            batch = np.pad(batch, [(0, size - count), (0, 0), (0, 0), (0, 0)])
        found = self._forward(batch)
        names = Output._fields if with_features else ("probabilities",)
        return Output(**{name: found[name].numpy()[:count] for name in names})


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
