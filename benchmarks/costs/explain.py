"""`python -m benchmarks.costs.explain`: an explained answer beside a plain one, without HTTP."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from app.inference.decoder_pool import Decoding
from app.inference.loading import load_classifier
from app.inference.pipeline import Pipeline
from app.settings import read_settings
from app.xray.gate import Sight, summarise
from app.xray.preprocess import to_levels
from benchmarks.costs.timing import interleave
from benchmarks.report import MODEL, Report
from benchmarks.rig.pictures import gray_jpeg

if TYPE_CHECKING:
    from collections.abc import Awaitable

SIDES = (384, 1024, 2048)


def main() -> None:
    """Measure and print one table, and what the gate takes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs.explain", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--model", type=Path, default=MODEL)
    options = parser.parse_args()

    settings = read_settings(model_path=options.model, ood="off")
    classifier = load_classifier(settings)
    rows = []
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
        rows.append((f"{side} x {side}", explained, plain, explained / plain))
    pipeline.close()
    decoding.close()
    report = Report("explain", f"medians of {options.rounds} interleaved rounds.")
    report.add_table(("picture", "explained, ms", "plain, ms", "ratio"), rows)

    gate = classifier.contract.ood
    if gate is not None:
        shape = classifier.contract.input_shape
        batch = np.random.default_rng(0).random((1, *shape), np.float32)
        feature_map = classifier.engine.predict(batch, with_features=True).feature_map
        sight = Sight(
            pixels=lambda: to_levels(batch, classifier.contract),
            summaries=lambda: summarise(feature_map),
        )
        judged, predicted = interleave(
            lambda: gate.judge(sight),
            lambda: classifier.engine.predict(batch),
            rounds=options.rounds,
        )
        report.add_table(("gate, ms", "network, ms"), [(judged, predicted)])
    report.conclude()


if __name__ == "__main__":
    main()
