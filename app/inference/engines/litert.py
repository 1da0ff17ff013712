"""The engine for CPUs: LiteRT with XNNPACK, running what `app.inference.engines.converter` made."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from app.inference.engines.engine import Batching, Output
from app.xray.errors import NotExplainable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_MAX_THREADS: Final = 8
"""Each holds the weights once more, some 40 MB; beyond this several processes serve better."""


class LiteRTEngine:
    """One picture after the other: a picture costs the same in any batch, and gets the same answer.

    A call that is alone splits its pictures' layers among all threads; calls that overlap have one
    thread each, so that none waits for another at every layer.
    """

    name = "litert"
    device = "cpu"

    def __init__(
        self,
        model: Path,
        *,
        threads: int,
        largest_difference: float | None = None,
        read_gradients: Callable[[], bytes] | None = None,
    ) -> None:
        threads = min(threads, _MAX_THREADS)
        self.largest_difference = largest_difference
        self.batching = Batching(threads=threads, ahead=1)
        self._wide = _Runner(model, threads) if threads > 1 else None
        self._narrow: SimpleQueue[_Runner] = SimpleQueue()
        for _ in range(threads):
            self._narrow.put(_Runner(model, 1))
        self._running = 0
        self._lock = threading.Lock()
        self._read_gradients = read_gradients
        self._gradients: CompiledGradients | None = None
        self._making_gradients = threading.Lock()

    def predict(self, batch: NDArray[np.float32], *, with_features: bool = False) -> Output:
        """As `Engine.predict`."""
        with self._runner() as runner:
            names = runner.outputs if with_features else ("probabilities",)
            rows = [runner.run(batch[i : i + 1], names) for i in range(len(batch))]
        columns = map(np.concatenate, zip(*rows, strict=True))
        return Output(**dict(zip(names, columns, strict=True)))

    def gradients(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `Engine.gradients`."""
        with self._making_gradients:
            if self._gradients is None:
                if self._read_gradients is None:
                    raise NotExplainable("this model was loaded without its gradients")
                self._gradients = CompiledGradients(self._read_gradients())
        return self._gradients(pooled)

    @contextmanager
    def _runner(self) -> Iterator[_Runner]:
        with self._lock:
            self._running += 1
            is_alone = self._running == 1
        try:
            if is_alone and self._wide:
                yield self._wide
            else:
                narrow = self._narrow.get()
                try:
                    yield narrow
                finally:
                    self._narrow.put(narrow)
        finally:
            with self._lock:
                self._running -= 1


class _Runner:
    """An interpreter, warm: for one picture at a time and one call at a time."""

    def __init__(self, model: Path, threads: int) -> None:
        self._interpreter = Interpreter(model, num_threads=threads)
        self._interpreter.allocate_tensors()
        self._interpreter.invoke()
        (self._input,) = (detail["index"] for detail in self._interpreter.get_input_details())
        signature = self._interpreter.get_signature_runner()
        self._outputs = {
            name: detail["index"] for name, detail in signature.get_output_details().items()
        }
        self.outputs = tuple(self._outputs)

    def run(self, picture: NDArray[np.float32], names: Sequence[str]) -> list[NDArray[np.float32]]:
        """The named outputs, copied, for model input (1, height, width, 3)."""
        self._interpreter.set_tensor(self._input, picture)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(self._outputs[name]) for name in names]


class CompiledGradients:
    """What `app.xray.grad_cam` made, compiled; may be called from any thread."""

    def __init__(self, model: bytes) -> None:
        self._interpreter = Interpreter(model_content=model, num_threads=1)
        self._interpreter.allocate_tensors()
        (self._input,) = (detail["index"] for detail in self._interpreter.get_input_details())
        (self._output,) = (detail["index"] for detail in self._interpreter.get_output_details())
        self._lock = threading.Lock()

    def __call__(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (n, classes, features) for float32 (n, features), n at least 1."""
        return np.concatenate([self._run(pooled[i : i + 1]) for i in range(len(pooled))])

    def _run(self, row: NDArray[np.float32]) -> NDArray[np.float32]:
        with self._lock:
            self._interpreter.set_tensor(self._input, row)
            self._interpreter.invoke()
            found: NDArray[np.float32] = self._interpreter.get_tensor(self._output)
        return found
