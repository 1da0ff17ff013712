"""How much of a network can be computed in bf16 before its answers suffer, found on val."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Final

import numpy as np

from app.xray.contract import LowerPrecision
from app.xray.errors import EngineError
from app.xray.graph.export import export_graph
from app.xray.graph.plan import F32, Plan
from app.xray.graph.runtime import Threads, compile_graph, computes_bf16
from app.xray.preprocess import rescale
from app.xray.probes import draw_probes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from app.xray.checkpoint import Checkpoint
    from app.xray.contract import ModelContract
    from app.xray.graph.graph import Graph
    from app.xray.preprocess.resize import Pixels

    Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]

SAME_LABEL: Final = 0.995
"""The share of val's pictures that must keep their label."""
LARGEST_DIFFERENCE: Final = 0.05
"""How far a probability may move, calibrated or not."""
_BATCH: Final = 32


def find_cut(checkpoint: Checkpoint, pixels: Pixels) -> LowerPrecision | None:
    """The earliest layer from which on the network may be computed in bf16; None where none is.

    For `SAME_LABEL` of the pictures the label stays that of float32, and no probability moves by
    more than `LARGEST_DIFFERENCE`; nor does any of the probe pictures, whose labels all stay, since
    that is what a server can see of it.

    Args:
        checkpoint: whose file holds the weights that are judged.
        pixels: of val, as `Split.pixels`.

    Returns:
        None, too, where this CPU does not compute in bf16, or OpenVINO cannot run the network.
    """
    if not computes_bf16():
        return None
    try:
        graph = graph_apart(checkpoint)
    except EngineError:
        return None
    return find_cut_of(graph, checkpoint.contract, pixels)


def graph_apart(checkpoint: Checkpoint) -> Graph:
    """OpenVINO's graph, made in a process of its own: Keras has another backend in this one.

    Raises what `export_graph` raises.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(export_graph, checkpoint).result()


def find_cut_of(graph: Graph, contract: ModelContract, pixels: Pixels) -> LowerPrecision | None:
    """As `find_cut`, of `graph`, on a CPU that computes in bf16."""
    exact = runner(graph, F32)
    probes = draw_probes(contract)
    expected_of_probes = exact(rescale(probes, contract))
    batches = [pixels[start : start + _BATCH] for start in range(0, len(pixels), _BATCH)]
    expected = [exact(rescale(batch, contract)) for batch in batches]
    may_change = int((1 - SAME_LABEL) * len(pixels) + 1e-9)
    for layer in graph.layers:
        try:
            lower = runner(graph, Plan("bf16", layer))
        except EngineError:  # other layers pass this one by
            continue
        moved, changed = _departure(contract, expected_of_probes, lower(rescale(probes, contract)))
        if changed or moved > LARGEST_DIFFERENCE:
            continue
        others, largest = 0, 0.0
        for reference, batch in zip(expected, batches, strict=True):
            moved, changed = _departure(contract, reference, lower(rescale(batch, contract)))
            others, largest = others + changed, max(largest, moved)
            if others > may_change or largest > LARGEST_DIFFERENCE:
                break
        else:
            return LowerPrecision(
                from_layer=layer,
                same_label=1 - others / len(pixels),
                largest_difference=largest,
                pictures=len(pixels),
            )
    return None


def runner(graph: Graph, plan: Plan) -> Run:
    """What computes probabilities (n, classes) of model inputs (n, height, width, 3) by `plan`.

    Raises:
        EngineError: as `Plan.stages`.
    """
    threads = Threads(1, os.cpu_count() or 1)
    compiled = [
        compile_graph(model, precision, threads=threads) for model, precision in plan.stages(graph)
    ]

    def answers(inputs: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        for picture in inputs:
            tensor = picture[None]
            for stage in compiled[:-1]:
                tensor = stage(tensor)[0]
            yield compiled[-1](tensor)["probabilities"]

    return lambda inputs: np.concatenate(list(answers(inputs)))


def _departure(
    contract: ModelContract, expected: NDArray[np.float32], found: NDArray[np.float32]
) -> tuple[float, int]:
    """The largest difference of a probability, and how many labels are others."""
    ours, theirs = contract.calibrate(expected), contract.calibrate(found)
    others = (ours.argmax(axis=1) != theirs.argmax(axis=1)).sum()
    return float(max(np.abs(expected - found).max(), np.abs(ours - theirs).max())), int(others)
