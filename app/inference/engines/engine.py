"""What every engine is: float32 batches in, class probabilities out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


Kind = Literal["auto", "openvino", "tensorflow"]
Device = Literal["auto", "cpu", "gpu"]
HeldAgainst = Literal["known answers", "other layout"]
"""The first are the training framework's, which the contract carries; the second is the same
network, laid out as Keras has it."""


class Output(NamedTuple):
    """What one pass gives for n pictures, all float32; the features only where asked for.

    A network that makes no map into a vector has none.
    """

    probabilities: NDArray[np.float32]
    """(n, classes), not yet calibrated."""
    feature_map: NDArray[np.float32] | None = None
    """(n, rows, columns, channels): the last map, of which the head sees a summary."""
    pooled: NDArray[np.float32] | None = None
    """(n, features): that summary."""


class Batching(NamedTuple):
    """How an engine is best called."""

    threads: int = 1
    """Calls that may run at the same time."""
    ahead: int = 0
    """Calls that wait behind those, so that no thread waits for the next."""
    max_size: int = 1
    """Pictures in a call."""
    max_wait_s: float = 0.0
    """How long a call that is not full is put off."""
    sizes: tuple[int, ...] = (1,)
    """Those that it plans for apart, of which the first call takes longer."""


class Engine(Protocol):
    """A loaded network. `predict` may be called from any thread, as `batching` says.

    So may `gradients`, at any time.
    """

    name: str
    device: str
    """What it runs on: "cpu" or "gpu"."""
    precision: str
    """In which its numbers are computed, such as "f32" or "bf16 from conv_dw_4"."""
    layout: str | None
    """How its layers' maps are laid out; None where the framework decides that."""
    held_against: HeldAgainst | None
    """What its answers for the probe pictures were compared with when it was loaded."""
    largest_difference: float | None
    """By how much its probabilities then departed; None where they were compared with nothing."""
    batching: Batching

    def predict(self, batch: NDArray[np.float32], *, with_features: bool = False) -> Output:
        """Run model inputs, float32 (n, height, width, channels), n at least 1."""
        ...

    def gradients(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """How each class's logit depends on each feature, see `app.xray.grad_cam`.

        Takes the "pooled" of an output, (n, features), n at least 1, and gives float32 (n, classes,
        features). It is not limited by `batching`, and takes far less than a prediction.

        Raises:
            NotExplainable: this network has no such gradients; it can be served all the same.
        """
        ...
