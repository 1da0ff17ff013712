"""`python -m benchmarks.costs.training_step`: the cost of a training step, and what freezing saves.

The whole network, then with ImageNet's batch statistics, then with lower blocks frozen too, which
recipes may ask for (`frozen_statistics`, `frozen_blocks`). Milliseconds of one step, input at hand,
medians of interleaved rounds; ratios are taken within each round.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from app.runtime.devices import usable_cpus
from app.xray.network import hush_tensorflow

if TYPE_CHECKING:
    from collections.abc import Callable

WAYS = {
    "all layers": (0, False),
    "ImageNet's batch statistics": (0, True),
    "3 blocks frozen": (3, False),
    "6 blocks frozen": (6, False),
    "6 blocks frozen, batch statistics too": (6, True),
    "11 blocks frozen, batch statistics too": (11, True),
}


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.costs.training_step", description=__doc__
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch-size", type=int, default=32)
    options = parser.parse_args()
    hush_tensorflow()
    steps = {name: prepare(*way, options.batch_size) for name, way in WAYS.items()}
    rounds = [{name: seconds(step) for name, step in steps.items()} for _ in range(options.rounds)]
    whole = next(iter(WAYS))
    table = Table(
        "trained", "ms a picture", "of all layers",
        title=f"batches of {options.batch_size}, {usable_cpus()} CPUs",
    )  # fmt: skip
    for name in WAYS:
        cost = statistics.median(found[name] for found in rounds) / options.batch_size * 1000
        ratio = statistics.median(found[name] / found[whole] for found in rounds)
        table.add_row(name, f"{cost:.1f}", f"{ratio:.2f}")
    Console().print(table)


def prepare(blocks: int, statistics: bool, batch_size: int) -> Callable[[], Any]:
    """A step of a network of its own, traced already."""
    import keras

    from training.network.mobilenet import build_mobilenet, freeze

    network = build_mobilenet(3, weights="none")
    freeze(network, blocks, statistics=statistics)
    network.compile(keras.optimizers.Adam(1e-4), "categorical_crossentropy")
    rng = np.random.default_rng(0)
    pictures = rng.random((batch_size, 224, 224, 3), dtype=np.float32)
    labels = np.eye(3, dtype=np.float32)[rng.integers(3, size=batch_size)]

    def step() -> Any:
        return network.train_on_batch(pictures, labels)

    step()
    step()
    return step


def seconds(step: Callable[[], Any]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
