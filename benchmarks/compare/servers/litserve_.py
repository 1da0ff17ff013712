"""LitServe with its batching, TensorFlow inside, and our own road from bytes to tensor.

Run as `python -m benchmarks.compare.servers.litserve_ MODEL PORT`.
"""

import sys
from pathlib import Path
from typing import Any

import litserve
import numpy as np
from fastapi import Request

from app.inference.engines.tensorflow import TensorFlowEngine
from app.xray.checkpoint import read_checkpoint
from app.xray.preprocess import preprocess

BATCH_SIZE = 16
BATCH_TIMEOUT_S = 0.005


class Radiographs(litserve.LitAPI):
    """One worker process decodes, batches and predicts."""

    def setup(self, device: str) -> None:  # noqa: ARG002  # LitServe's signature
        """Load the model, once in each worker."""
        self.checkpoint = read_checkpoint(Path(sys.argv[1]))
        self.engine = TensorFlowEngine(self.checkpoint, device="cpu")
        shape = self.checkpoint.contract.input_shape
        for size in (1, BATCH_SIZE):
            self.engine.predict(np.zeros((size, *shape), np.float32))

    def decode_request(self, request: Request) -> Any:
        """Model input of one upload."""
        return preprocess(request["file"].file.read(), self.checkpoint.contract)

    def predict(self, batch: Any) -> Any:
        """Probabilities of a batch."""
        return self.engine.predict(batch).probabilities

    def encode_response(self, output: Any) -> dict[str, float]:
        """The answer to one upload."""
        return dict(zip(self.checkpoint.contract.classes, output.tolist(), strict=True))


if __name__ == "__main__":
    api = Radiographs(max_batch_size=BATCH_SIZE, batch_timeout=BATCH_TIMEOUT_S)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False)
