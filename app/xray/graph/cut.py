"""A graph cut in two before one of its layers, so that each half computes in its own precision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from app.xray.errors import EngineError
from app.xray.graph.graph import INPUT, cut_name
from app.xray.graph.runtime import import_openvino, read_graph

if TYPE_CHECKING:
    from app.xray.graph.graph import Graph


class Halves(NamedTuple):
    """Two `openvino.Model`: what `front` gives, one tensor, is what `back` takes."""

    front: Any
    back: Any


def cut_before(graph: Graph, layer: str) -> Halves:
    """The graph's layers before `layer`, and those from it on.

    Raises:
        EngineError: there is no such place, or other layers pass it by.
    """
    if layer not in graph.layers:
        raise EngineError(f"the network cannot be cut before a layer {layer!r}")
    ov = import_openvino()
    from openvino import opset16 as operations

    name = cut_name(graph.layers.index(layer))
    front = read_graph(graph)
    back = front.clone()  # which shares the weights
    given = _tensor(front, name)
    taken = _tensor(back, name)
    parameter = operations.parameter(taken.get_partial_shape(), taken.get_element_type())
    parameter.set_friendly_name(INPUT)
    for target in taken.get_target_inputs():
        target.replace_source_output(parameter.output(0))
    try:
        return Halves(
            ov.Model([operations.result(given)], front.get_parameters(), "front"),
            ov.Model(back.get_results(), [parameter], "back"),
        )
    except RuntimeError as error:  # a result that still wants the picture
        raise EngineError(f"other layers pass layer {layer!r} by; it is no place to cut") from error


def _tensor(model: Any, name: str) -> Any:
    for node in model.get_ops():
        for output in node.outputs():
            if name in output.get_names():
                return output
    raise EngineError(f"the graph has no tensor {name}")
