"""The reference engine: TensorFlow, on the GPU where there is one."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from app.inference.engines.engine import Batching, Output
from app.xray.errors import EngineError, NotExplainable
from app.xray.grad_cam import take_head
from app.xray.network import build_network, expose_features, import_keras
from app.xray.preprocess import rescale
from app.xray.probes import draw_probes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.inference.engines.engine import Device, HeldAgainst
    from app.xray.checkpoint import Checkpoint
    from app.xray.grad_cam.head import Head

_BATCHING: Final = {
    "gpu": Batching(max_size=32, max_wait_s=0.005, sizes=(1, 2, 4, 8, 16, 32)),
    "cpu": Batching(max_size=8),
}


class TensorFlowEngine:
    """One `tf.function` with one input signature, so that no batch size traces it again.

    On a GPU, where each new shape is planned anew, batches are filled up to the next planned size.
    """

    name = "tensorflow"
    precision = "f32"
    layout: str | None = None
    held_against: HeldAgainst | None = None
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

        @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)], autograph=False)  # type: ignore[untyped-decorator]
        def forward(batch: Any) -> Any:
            return network(batch, training=False)

        self._forward = forward
        self._network = network
        self._contract = checkpoint.contract
        self._head: Head | NotExplainable | None = None
        self._taking_head = threading.Lock()

    def predict(self, batch: NDArray[np.float32], *, with_features: bool = False) -> Output:
        """As `Engine.predict`."""
        count = len(batch)
        if self.device == "gpu":
            size = min((size for size in self.batching.sizes if size >= count), default=count)
            batch = np.pad(batch, [(0, size - count), (0, 0), (0, 0), (0, 0)])
        found = self._forward(batch)
        names = tuple(found) if with_features else ("probabilities",)
        numbers = {name: found[name].numpy()[:count] for name in names}
        numbers["probabilities"] = self._contract.probabilities_of(numbers["probabilities"])
        return Output(**numbers)

    def gradients(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `Engine.gradients`."""
        with self._taking_head:
            if self._head is None:
                self._head = self._take_head()
        if isinstance(self._head, NotExplainable):
            raise NotExplainable(f"this model cannot be explained: {self._head}")
        return self._head.gradients(pooled)

    def _take_head(self) -> Head | NotExplainable:
        probes = rescale(draw_probes(self._contract), self._contract)
        seen = self.predict(probes, with_features=True)
        try:
            return take_head(self._network, seen.pooled, seen.probabilities, self._contract.output)
        except NotExplainable as error:
            return error


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
