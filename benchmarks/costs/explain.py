"""`python -m benchmarks.costs.explain`: an explained answer beside a plain one, without HTTP."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from app.inference.decoder_pool import Decoding
from app.inference.loading import load_classifier
from app.inference.pipeline import Pipeline
from app.runtime.devices import usable_cpus
from app.settings import read_settings
from app.xray.gate import summarise
from benchmarks.costs.timing import interleave
from benchmarks.rig.pictures import gray_jpeg

if TYPE_CHECKING:
    from collections.abc import Awaitable

SIDES = (384, 1024, 2048)


def main() -> None:
    """Measure and print one table, and what the gate takes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs.explain", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--model", type=Path, default=Path("models/best_model.h5"))
    options = parser.parse_args()

    settings = read_settings(model_path=options.model, ood="off")
    classifier = load_classifier(settings)
    table = Table("picture", "explained, ms", "plain, ms", "ratio", title=f"{usable_cpus()} CPUs")
    loop = asyncio.new_event_loop()
    decoding = Decoding(settings)
    pipeline = Pipeline(classifier, settings, decoding)

    def call(answer: Awaitable[object]) -> object:
        return loop.run_until_complete(answer)

    for side in SIDES:
        data = gray_jpeg(side, side)
        explained, plain = interleave(
            lambda data=data: call(pipeline.explain(data)),
            lambda data=data: call(pipeline.classify(data)),
            rounds=options.rounds,
        )
        ratio = f"{explained / plain:.2f}"
        table.add_row(f"{side} x {side}", f"{explained:.1f}", f"{plain:.1f}", ratio)
    pipeline.close()
    decoding.close()
    Console().print(table)

    gate = classifier.contract.ood
    if gate is not None:
        shape = classifier.contract.input_shape
        batch = np.random.default_rng(0).random((1, *shape), np.float32)
        feature_map = classifier.engine.predict(batch, with_features=True).feature_map
        judged, predicted = interleave(
            lambda: gate.score(summarise(feature_map)),
            lambda: classifier.engine.predict(batch),
            rounds=options.rounds,
        )
        Console().print(f"gate: {judged:.2f} ms beside {predicted:.1f} ms for the network")


if __name__ == "__main__":
    main()
