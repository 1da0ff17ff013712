"""How a checkpoint runs. An engine turns float32 batches into class probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from app.xray.checkpoint import Checkpoint

Kind = Literal["auto", "tensorflow"]
Device = Literal["auto", "cpu", "gpu"]


class Engine(Protocol):
    """A loaded network. `predict` may be called from any thread, one call at a time."""

    name: str
    device: str
    """What it runs on: "cpu" or "gpu"."""

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities (n, classes) of model inputs (n, height, width, 3), not yet calibrated."""
        ...


def create_engine(
    checkpoint: Checkpoint, kind: Kind = "auto", *, device: Device = "auto"
) -> Engine:
    """Load `checkpoint` into an engine of `kind` on `device`.

    "auto" takes the GPU where there is one; the only kind is "tensorflow" so far.

    Raises:
        CheckpointCorrupt: the network cannot be rebuilt.
        EngineError: a GPU is demanded and none is visible.
    """
    match kind:
        case "auto" | "tensorflow":
            from app.engines.tensorflow import TensorFlowEngine

            return TensorFlowEngine(checkpoint, device=device)
