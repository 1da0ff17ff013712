"""In which precision a graph is computed: all of it in one, or its first layers in another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from app.xray.graph.cut import cut_before
from app.xray.graph.runtime import read_graph

if TYPE_CHECKING:
    from app.xray.graph.graph import Graph
    from app.xray.graph.runtime import Precision


class Plan(NamedTuple):
    """`precision` from the layer `from_layer` on, float32 before it; None is from the first on."""

    precision: Precision = "f32"
    from_layer: str | None = None

    @property
    def name(self) -> str:
        """As an operator reads it: "f32", "bf16", "bf16 from conv_dw_4"."""
        return f"{self.precision} from {self.from_layer}" if self.from_layer else self.precision

    def stages(self, graph: Graph) -> list[tuple[Any, Precision]]:
        """Models to be run one after the other, each with its precision.

        Raises:
            EngineError: the graph cannot be cut before `from_layer`.
        """
        if self.from_layer is None:
            return [(read_graph(graph), self.precision)]
        front, back = cut_before(graph, self.from_layer)
        return [(front, "f32"), (back, self.precision)]


F32 = Plan()
