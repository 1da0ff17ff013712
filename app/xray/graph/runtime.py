"""OpenVINO itself, imported so that it sends nothing, and the compiling of its graphs."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from app.xray.graph.graph import Graph

Precision = Literal["f32", "bf16"]

_NEVER_IMPORTED: Final = ("openvino_telemetry", "openvino.tools")
"""The first sends a message to Google Analytics when `openvino` is imported; the second, which
converts the models of other frameworks, is what asks it to."""


def import_openvino() -> Any:
    """The `openvino` module, without the parts of it that would send telemetry.

    They are optional to it: it does without what cannot be imported.
    """
    for name in _NEVER_IMPORTED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # as the import system has it
    import openvino

    return openvino


@cache
def _core() -> Any:
    return import_openvino().Core()


def available_devices() -> tuple[str, ...]:
    """What OpenVINO finds here, such as ("CPU", "GPU"); the GPU is one of Intel's."""
    return tuple(_core().available_devices)


def computes_bf16(device: str = "CPU") -> bool:
    """Whether `device` multiplies bfloat16 numbers natively, as CPUs with AVX512-BF16 or AMX do."""
    return "BF16" in _core().get_property(device, "OPTIMIZATION_CAPABILITIES")


class Threads(NamedTuple):
    """How a compiled graph shares the CPU out: `streams` calls at once, `threads` for them all."""

    streams: int
    threads: int


def read_graph(graph: Graph) -> Any:
    """The `openvino.Model` of `graph`; its weights lie in memory that it holds on to."""
    return _core().read_model(graph.structure, graph.weights)


def compile_graph(
    model: Any, precision: Precision = "f32", *, threads: Threads | None, device: str = "CPU"
) -> Any:
    """An `openvino.CompiledModel` that computes in `precision`; inputs and outputs stay float32.

    The precision is always said: where a CPU has bf16, OpenVINO takes that by itself. Threads are
    not bound to cores, since a container's quota may let them run on others.
    """
    options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": precision}
    if threads is not None:
        options |= {
            "NUM_STREAMS": str(threads.streams),
            "INFERENCE_NUM_THREADS": str(threads.threads),
            "ENABLE_CPU_PINNING": False,
        }
    return _core().compile_model(model, device, options)
