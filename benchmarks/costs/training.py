"""`python -m benchmarks.costs.training`: the training input beside that of 2022.

That of 2022 is Keras' ImageDataGenerator, which reads, decodes, resizes and turns each picture anew
in each epoch; ours decodes once. Both are given the same folder and the same ranges to move in.
The training step on the same batch says how much of either a run would notice.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from app.xray.contract import ModelContract
from app.xray.network import hush_tensorflow
from benchmarks.costs.timing import interleave
from benchmarks.report import Report
from benchmarks.rig.pictures import gray_jpeg
from training.data.dataset import load_dataset
from training.network.mobilenet import build_mobilenet
from training.recipes.config import FitConfig
from training.train.batches import TrainingBatches

CLASSES = ("COVID", "NORMAL", "PNEUMONIA")
PICTURES_PER_CLASS = 32
BATCH_SIZE = 32


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.costs.training", description=__doc__
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", type=int, default=1024, help="of the JPEG files that are drawn")
    options = parser.parse_args()
    hush_tensorflow()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        draw(root, options.side)
        compare(root, options.side, options.rounds)


def draw(root: Path, side: int) -> None:
    """A folder to train on; which picture is in which class does not matter here."""
    data = gray_jpeg(side, side)
    for name in CLASSES:
        (root / "train" / name).mkdir(parents=True)
        for index in range(PICTURES_PER_CLASS):
            (root / "train" / name / f"{index}.jpg").write_bytes(data)


def compare(root: Path, side: int, rounds: int) -> None:
    """Time an epoch's input both ways, and a training step."""
    import tensorflow as tf

    contract = ModelContract.recipe_of_2022(CLASSES)
    config = FitConfig(data=root, out=root, batch_size=BATCH_SIZE)
    pictures = len(CLASSES) * PICTURES_PER_CLASS
    start = time.perf_counter()
    split = load_dataset(root, contract, splits=["train"]).splits["train"]
    once = (time.perf_counter() - start) / pictures * 1000
    ours = TrainingBatches(split, contract, config)
    moves = config.augment
    theirs = tf.keras.preprocessing.image.ImageDataGenerator(
        rescale=1 / 255,
        rotation_range=moves.rotation_degrees,
        width_shift_range=moves.shift,
        height_shift_range=moves.shift,
        zoom_range=moves.zoom,
        brightness_range=(1 - moves.brightness, 1 + moves.brightness),
        fill_mode="constant",
    ).flow_from_directory(root / "train", target_size=(224, 224), batch_size=BATCH_SIZE)
    an_epoch = interleave(
        lambda: [ours[index] for index in range(len(ours))],
        lambda: [theirs[index] for index in range(len(theirs))],
        rounds=rounds,
        calls=1,
    )

    network = build_mobilenet(len(CLASSES), weights="none")
    network.compile("adam", "categorical_crossentropy")
    inputs, labels = ours[0]
    (step,) = interleave(lambda: network.train_on_batch(inputs, labels), rounds=rounds, calls=2)

    mine, other = (total / pictures for total in an_epoch)
    report = Report(
        "training", f"gray JPEG {side} x {side}, batches of {BATCH_SIZE}.", ("keras", "tensorflow")
    )
    report.add_table(
        ("milliseconds a picture", "ours", "ImageDataGenerator", "times faster"),
        [
            ("each epoch", mine, other, other / mine),
            ("once, before the first", once, "", ""),
            ("for comparison: the training step", step / BATCH_SIZE, "", ""),
        ],
    )
    report.conclude()


if __name__ == "__main__":
    main()
