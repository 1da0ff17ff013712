from __future__ import annotations

import csv
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import keras
import pytest
import tensorflow as tf

from app.xray.checkpoint import read_checkpoint
from app.xray.errors import TrainingError
from app.xray.network import build_network
from benchmarks.rig.corpus.drawing import write_dataset
from tests.live import ROOT
from tests.networks import build_tiny
from training.train.strategy import choose_strategy, spread

if TYPE_CHECKING:
    from pathlib import Path

# In a process of its own: logical devices have to be there before anything else has run.
SCRIPT = """
import sys
import keras, tensorflow as tf
import training.evaluation.gate.figures as figures
import training.evaluation.gate.folder as folder
import training.evaluation.metrics as metrics
import training.evaluation.precision as precision
import training.network.mobilenet
from matplotlib.figure import Figure
from PIL import Image
from tests.networks import build_tiny
from training.cli import main

def build(classes, **_):
    network = build_tiny(keras, classes)
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0  # each device would draw its own
    return network

training.network.mobilenet.build_mobilenet = build
# These take a minute, and here nothing is said of them.
metrics.RESAMPLES = 20
precision.find_cut = lambda *_: None
Figure.savefig = lambda *_, **__: None
folder.strangers = figures.strangers = lambda: {
    "flat gray": [Image.new("L", (40, 30), level) for level in (0, 90, 255)]
}
cpu, = tf.config.list_physical_devices("CPU")
devices, *runs = sys.argv[1:]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration() for _ in range(int(devices))]
)
for run in runs:
    code = main(run.split("|"))
    if code:
        sys.exit(code)
"""


RECIPE = """
why = "All that a recipe may ask of the optimizer, three steps an epoch."
[settings]
epochs = 2
batch_size = 4
learning_rate = 1e-3
backbone_rate = 0.33
schedule = "cosine"
warmup_epochs = 1
head_epochs = 8
average = 0.99
keep = "last"
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = write_dataset(tmp_path_factory.mktemp("strategy") / "data")
    data.with_name("every.toml").write_text(RECIPE)
    return data


def flags(data: Path, out: Path, strategy: str) -> str:
    settings = f"--weights none --recipe {data.with_name('every.toml')}"
    words = ["fit", "--data", str(data), "--out", str(out), "--strategy", strategy]
    return "|".join([*words, *settings.split()])


def losses(run: Path) -> list[float]:
    rows = csv.DictReader((run / "history.csv").read_text().splitlines())
    return [float(row[name]) for row in rows for name in ("loss", "val_loss")]


@pytest.fixture(scope="module")
def on_one(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on one device, and beside it one on two."""
    folder = tmp_path_factory.mktemp("runs")
    one, two = flags(data, folder / "one", "one"), flags(data, folder / "two", "mirrored")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "2", one, two],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout
    return folder / "one"


def test_two_devices_learn_what_one_learns_of_the_same_batches(on_one: Path) -> None:
    assert len(losses(on_one)) == 4
    assert losses(on_one.with_name("two")) == pytest.approx(losses(on_one), rel=1e-3)


def test_a_checkpoint_says_nothing_of_how_many_devices_there_were(on_one: Path) -> None:
    checkpoint = read_checkpoint(on_one.with_name("two") / "best_model.h5")
    assert '"synchronized": true' not in json.dumps(build_network(checkpoint).get_config())


def test_what_trains_in_mixed_precision_does_so_on_several_devices_too() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        network = build_tiny(keras)
    finally:
        keras.config.set_dtype_policy("float32")
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    found = spread(network, strategy)
    with strategy.scope():
        found.compile(optimizer=keras.optimizers.Adam(), loss="categorical_crossentropy")
    assert isinstance(found.optimizer, keras.optimizers.LossScaleOptimizer)
    assert keras.config.dtype_policy().name == "float32"


def test_one_device_is_what_auto_comes_to_without_several_gpus() -> None:
    assert choose_strategy("auto") is None
    assert choose_strategy("one") is None


def test_a_single_device_has_nothing_to_share() -> None:
    with pytest.raises(TrainingError, match="only one device"):
        choose_strategy("mirrored")
