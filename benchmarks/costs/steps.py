"""`python -m benchmarks.costs.steps`: each step of the road beside what it replaces."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from app.inference.loading import load_classifier
from app.settings import read_settings
from app.xray.checkpoint import read_checkpoint
from app.xray.network import build_network, import_keras
from app.xray.preprocess import preprocess
from benchmarks.costs.timing import interleave
from benchmarks.report import MODEL, Report
from benchmarks.rig.pictures import gray_jpeg

SIDES = (512, 1024, 2048)


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs.steps", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", type=Path, default=MODEL)
    options = parser.parse_args()

    rows = []
    checkpoint = read_checkpoint(options.model)
    keras = import_keras()
    for side in SIDES:
        data = gray_jpeg(side, side)
        with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
            file.write(data)
            file.flush()

            def keras_road(name: str = file.name) -> object:
                image = keras.utils.load_img(name, target_size=(224, 224))
                return keras.utils.img_to_array(image) / 255

            ours, other = interleave(
                lambda data=data: preprocess(data, checkpoint.contract),
                keras_road,
                rounds=options.rounds,
            )
        rows.append((f"bytes to tensor, gray JPEG {side} x {side}, beside load_img", ours, other))

    network = build_network(checkpoint)
    batch = np.random.default_rng(0).random((1, *checkpoint.contract.input_shape), np.float32)
    for kind in ("openvino", "tensorflow"):
        settings = read_settings(model_path=options.model, engine=kind, device="cpu")
        engine = load_classifier(settings).engine
        ours, other = interleave(
            lambda engine=engine: engine.predict(batch),
            lambda: network.predict(batch, verbose=0),
            rounds=options.rounds,
        )
        rows.append((f"one picture through {kind}, beside model.predict", ours, other))
    report = Report("steps", f"medians of {options.rounds} interleaved rounds.")
    report.add_table(
        ("step", "ours, ms", "beside it, ms", "times faster"),
        [(step, ours, other, other / ours) for step, ours, other in rows],
    )
    report.conclude()


if __name__ == "__main__":
    main()
