"""`python -m benchmarks.costs.training_step`: the cost of a training step, and what freezing saves.

The whole network, then with ImageNet's batch statistics, then with lower blocks frozen too, which
recipes may ask for (`frozen_statistics`, `frozen_blocks`). Milliseconds of one step, input at hand,
medians of interleaved rounds.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np

from app.xray.network import hush_tensorflow
from benchmarks.costs.timing import interleave
from benchmarks.report import Report

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
    steps = [prepare(*way, options.batch_size) for way in WAYS.values()]
    costs = interleave(*steps, rounds=options.rounds, calls=1)
    report = Report("training_step", f"batches of {options.batch_size}.", ("keras", "tensorflow"))
    report.add_table(
        ("trained", "ms a picture", "of all layers"),
        [
            (name, cost / options.batch_size, cost / costs[0])
            for name, cost in zip(WAYS, costs, strict=True)
        ],
    )
    report.conclude()


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
    return step


if __name__ == "__main__":
    main()
