"""Graphs of checkpoints, made in one process for all tests: here Keras runs on TensorFlow."""

from __future__ import annotations

import atexit
from functools import cache
from typing import TYPE_CHECKING

from app.runtime.children import Apart
from app.xray.graph.export import export_graph, use_openvino_backend

if TYPE_CHECKING:
    from app.xray.checkpoint import Checkpoint
    from app.xray.graph.graph import Graph


@cache
def _process() -> Apart:
    process = Apart(use_openvino_backend)
    atexit.register(process.end)
    return process


def graph_of(checkpoint: Checkpoint) -> Graph:
    """OpenVINO's graph of `checkpoint`. Raises what `export_graph` raises."""
    try:
        answer = _process().begin(export_graph, checkpoint, within_s=300)
    except RuntimeError:  # a command that another test called ended all children, as its own
        _process.cache_clear()
        answer = _process().begin(export_graph, checkpoint, within_s=300)
    return answer.result()


def graph_by_a_backend_without_relu(checkpoint: Checkpoint) -> Graph:
    """As `graph_of`, by a backend that lacks the layer ReLU."""
    with Apart(_take_relu_away) as process:
        return process.begin(export_graph, checkpoint, within_s=300).result()


def _take_relu_away() -> None:
    use_openvino_backend()
    import keras

    def call(self: object, inputs: object) -> object:
        if type(inputs).__name__ == "OpenVINOKerasTensor":
            raise NotImplementedError("`relu` is not supported with openvino backend")
        return inputs

    keras.layers.ReLU.call = call
