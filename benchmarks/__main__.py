"""`make bench`: each step of the road beside what it replaces, as ratios of one run.

Rounds are interleaved, so that whatever else the machine does slows both sides; the figure is the
median over rounds of the time per call.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from app.engines import create_engine
from app.xray.checkpoint import read_checkpoint
from app.xray.network import build_network, import_keras
from app.xray.preprocess import preprocess
from training.augment import augment
from training.config import AugmentConfig

if TYPE_CHECKING:
    from collections.abc import Callable

SIDES = (512, 1024, 2048)


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", type=Path, default=Path("models/best_model.h5"))
    options = parser.parse_args()

    console = Console()
    table = Table("step", "ours, ms", "beside it, ms", "ratio", title=f"{os.cpu_count()} CPUs")
    checkpoint = read_checkpoint(options.model)
    keras = import_keras()

    for side in SIDES:
        data = gray_jpeg(side)
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
        add_row(table, f"bytes to tensor, gray JPEG {side} x {side}, beside load_img", ours, other)

    network, engine = build_network(checkpoint), create_engine(checkpoint, device="cpu")
    batch = np.random.default_rng(0).random((1, *checkpoint.contract.input_shape), np.float32)
    ours, other = interleave(
        lambda: engine.predict(batch),
        lambda: network.predict(batch, verbose=0),
        rounds=options.rounds,
    )
    add_row(table, "one picture through the engine, beside model.predict", ours, other)

    network.compile("adam", "categorical_crossentropy")
    pixels = (batch[0] * 255).astype(np.uint8)
    rng = np.random.default_rng(0)
    inputs = np.repeat(batch, 16, axis=0)
    labels = np.eye(len(checkpoint.contract.classes), dtype=np.float32)[np.zeros(16, int)]
    ours, other = interleave(
        lambda: [augment(pixels, AugmentConfig(), rng) for _ in range(16)],
        lambda: network.train_on_batch(inputs, labels),
        rounds=options.rounds,
        calls=2,
    )
    add_row(table, "augmenting 16 pictures, beside the training step on them", ours, other)
    console.print(table)


def gray_jpeg(side: int) -> bytes:
    """A smooth gray picture with some grain, as a JPEG of quality 90."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (16, 16), np.uint8))
    levels = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), dtype=float)
    grainy = (levels + rng.normal(0, 4, levels.shape)).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(grainy).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def interleave(
    one: Callable[[], object], other: Callable[[], object], *, rounds: int, calls: int = 20
) -> tuple[float, float]:
    """Median milliseconds a call of `one` and of `other`, after a round of each to warm up."""
    times: tuple[list[float], list[float]] = ([], [])
    for round_ in range(rounds + 1):
        for function, found in zip((one, other), times, strict=True):
            start = time.perf_counter()
            for _ in range(calls):
                function()
            if round_:
                found.append((time.perf_counter() - start) / calls * 1000)
    return statistics.median(times[0]), statistics.median(times[1])


def add_row(table: Table, step: str, ours: float, other: float) -> None:
    """One line: both times and how many times faster ours is."""
    table.add_row(step, f"{ours:.1f}", f"{other:.1f}", f"{other / ours:.1f} x")


if __name__ == "__main__":
    main()
