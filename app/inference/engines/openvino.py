"""The engine for CPUs, and for Intel's GPUs: OpenVINO, running the graph of a checkpoint."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from app.inference.engines.engine import Batching, Output
from app.runtime.devices import step_back
from app.xray.errors import NotExplainable
from app.xray.graph.graph import OUTPUTS
from app.xray.graph.runtime import Threads, compile_graph

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from app.inference.engines.engine import HeldAgainst
    from app.xray.graph.graph import Graph
    from app.xray.graph.plan import Plan

_MAX_THREADS: Final = 8
"""Beyond this several processes serve better."""


class OpenVINOEngine:
    """One picture after the other: a picture costs the same in any batch, and gets the same answer.

    A call that is alone splits its pictures' layers among all threads; calls that overlap have one
    thread each, so that none waits for another at every layer.

    Raises:
        RuntimeError: OpenVINO refuses the graph.
    """

    name = "openvino"

    def __init__(self, graph: Graph, plan: Plan, *, threads: int, device: str = "cpu") -> None:
        threads = min(threads, _MAX_THREADS)
        self.device = device
        self.layout: str | None = graph.layout
        self.precision = plan.name
        self.held_against: HeldAgainst | None = None
        self.largest_difference: float | None = None
        self.batching = Batching(threads=threads, ahead=1)
        self._head = graph.head
        self._not_explainable = graph.not_explainable
        stages = plan.stages(graph)
        # OpenVINO's threads get the priority of the one that compiles, so that one steps back.
        # One pool after the other: with two compiled at once, a start once stood still.
        with ThreadPoolExecutor(1, "compiling", step_back) as patient:

            def pool(shared: Threads) -> _Pool:
                return patient.submit(_Pool, stages, shared, device).result()

            self._wide = pool(Threads(1, threads)) if threads > 1 else None
            self._narrow = pool(Threads(threads, threads))
        self._running = 0
        self._lock = threading.Lock()

    def predict(self, batch: NDArray[np.float32], *, with_features: bool = False) -> Output:
        """As `Engine.predict`."""
        with self._runner() as runner:
            names = runner.outputs if with_features else ("probabilities",)
            rows = [runner.run(batch[i : i + 1], names) for i in range(len(batch))]
        columns = map(np.concatenate, zip(*rows, strict=True))
        return Output(**dict(zip(names, columns, strict=True)))

    def gradients(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `Engine.gradients`."""
        if self._head is None:
            raise NotExplainable(f"this model cannot be explained: {self._not_explainable}")
        return self._head.gradients(pooled)

    @contextmanager
    def _runner(self) -> Iterator[_Runner]:
        with self._lock:
            self._running += 1
            is_alone = self._running == 1
        try:
            pool = self._wide if is_alone and self._wide else self._narrow
            with pool.runner() as runner:
                yield runner
        finally:
            with self._lock:
                self._running -= 1


class _Pool:
    """The stages compiled once for `threads`, and a runner for each of their streams."""

    def __init__(self, stages: Sequence[tuple[Any, Any]], threads: Threads, device: str) -> None:
        shared = threads if device == "cpu" else None
        compiled = [
            compile_graph(model, precision, threads=shared, device=device.upper())
            for model, precision in stages
        ]
        self._free: SimpleQueue[_Runner] = SimpleQueue()
        for _ in range(threads.streams):
            self._free.put(_Runner(compiled))

    @contextmanager
    def runner(self) -> Iterator[_Runner]:
        """One that nobody else runs; waits until there is one."""
        runner = self._free.get()
        try:
            yield runner
        finally:
            self._free.put(runner)


class _Runner:
    """One request to each stage, each of which takes what the one before it made, uncopied."""

    def __init__(self, compiled: Sequence[Any]) -> None:
        self._requests = [stage.create_infer_request() for stage in compiled]
        for before, after in zip(self._requests, self._requests[1:], strict=False):
            after.set_input_tensor(before.get_output_tensor(0))
        self._input = self._requests[0].get_input_tensor(0)
        named = {name for output in compiled[-1].outputs for name in output.names}
        self._outputs = {
            name: self._requests[-1].get_tensor(name) for name in OUTPUTS if name in named
        }
        self.outputs = tuple(self._outputs)
        for request in self._requests:  # the first time takes longer
            request.infer()

    def run(self, picture: NDArray[np.float32], names: Sequence[str]) -> list[NDArray[np.float32]]:
        """The named outputs, copied, for model input (1, height, width, channels)."""
        self._input.data[...] = picture
        for request in self._requests:
            request.infer()
        return [self._outputs[name].data.copy() for name in names]
