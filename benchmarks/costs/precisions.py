"""`python -m benchmarks.costs.precisions`: what bf16 from each layer on changes, and saves."""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from rich.console import Console

from app.xray.checkpoint import read_checkpoint
from app.xray.errors import EngineError
from app.xray.graph.plan import F32, Plan
from app.xray.preprocess import rescale
from benchmarks.report import MODEL, machine
from training.data.dataset import load_dataset
from training.evaluation.precision import graph_apart, runner

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.xray.contract import ModelContract
    from app.xray.graph.graph import Graph

PICTURES_TO_WARM_UP: Final = 5


def main() -> None:
    """Run a split in float32 and in bf16 from each layer on; print a table in Markdown."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.costs.precisions", description=__doc__
    )
    parser.add_argument("--model", type=Path, default=MODEL, metavar="FILE")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--split", default="val", help="(val)")
    parser.add_argument("--layers", nargs="+", metavar="LAYER", help="(all where it can be cut)")
    options = parser.parse_args()
    checkpoint = read_checkpoint(options.model)
    contract = checkpoint.contract
    dataset = load_dataset(options.data, contract, splits=(options.split,))
    inputs = rescale(dataset.splits[options.split].pixels, contract)
    graph = graph_apart(checkpoint)
    console = Console(width=200)
    console.print(
        f"{machine('openvino')}; {len(inputs)} pictures of {options.split}\n\n"
        "| bf16 | labels that stay | largest difference | ms a picture |\n"
        "| --- | --- | --- | --- |",
        soft_wrap=True,
    )
    expected, spent_ms = _answer(graph, F32, inputs, contract)
    console.print(f"| none | | | {spent_ms:.1f} |")
    for layer in (*(options.layers or graph.layers), None):
        try:
            found, spent_ms = _answer(graph, Plan("bf16", layer), inputs, contract)
        except EngineError:  # other layers pass this one by
            continue
        stay = (found.argmax(axis=1) == expected.argmax(axis=1)).mean()
        largest = np.abs(found - expected).max()
        where = f"from `{layer}` on" if layer else "all"
        console.print(f"| {where} | {stay:.4f} | {largest:.3f} | {spent_ms:.1f} |", markup=False)


def _answer(
    graph: Graph, plan: Plan, inputs: NDArray[np.float32], contract: ModelContract
) -> tuple[NDArray[np.float64], float]:
    """Calibrated probabilities (n, classes), and the median milliseconds of a picture."""
    run = runner(graph, plan)
    run(inputs[:PICTURES_TO_WARM_UP])
    answers, times = [], []
    for index in range(len(inputs)):
        start = time.perf_counter()
        answers.append(run(inputs[index : index + 1]))
        times.append(time.perf_counter() - start)
    return contract.calibrate(np.concatenate(answers)), statistics.median(times) * 1000


if __name__ == "__main__":
    main()
