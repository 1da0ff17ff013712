from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import keras
import pytest
import tensorflow as tf

from app.xray.checkpoint import read_checkpoint
from app.xray.errors import TrainingError
from app.xray.network import build_network
from tests.drawing import write_dataset
from tests.live import ROOT, free_port
from tests.networks import build_tiny
from training.train.strategy import choose_strategy, is_chief, spread

if TYPE_CHECKING:
    from pathlib import Path

# In a process of its own: logical devices have to be there before anything else has run.
SCRIPT = """
import sys
import keras, tensorflow as tf
import training.commands.fit
from tests.networks import build_tiny
from training.cli import main

def build(classes, **_):
    network = build_tiny(keras, classes)
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0  # each device would draw its own
    return network

training.commands.fit.build_mobilenet = build
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


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("strategy") / "data")


def flags(data: Path, out: Path, strategy: str) -> str:
    """For three steps an epoch, with what a recipe may ask of the optimizer."""
    settings = "--weights none --recipe two-stages --epochs 3 --batch-size 4 --learning-rate 1e-3"
    words = ["fit", "--data", str(data), "--out", str(out), "--strategy", strategy]
    return "|".join([*words, *settings.split()])


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return said


def losses(run: Path) -> list[float]:
    rows = csv.DictReader((run / "history.csv").read_text().splitlines())
    return [float(row[name]) for row in rows for name in ("loss", "val_loss")]


@pytest.fixture(scope="module")
def on_one(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on one device, and beside it one on two."""
    folder = tmp_path_factory.mktemp("runs")
    end(start("2", flags(data, folder / "one", "one"), flags(data, folder / "two", "mirrored")))
    return folder / "one"


def test_two_devices_learn_what_one_learns_of_the_same_batches(on_one: Path) -> None:
    assert len(losses(on_one)) == 6
    assert losses(on_one.with_name("two")) == pytest.approx(losses(on_one), rel=1e-3)


def test_a_checkpoint_says_nothing_of_how_many_devices_there_were(on_one: Path) -> None:
    checkpoint = read_checkpoint(on_one.with_name("two") / "best_model.h5")
    assert '"synchronized": true' not in json.dumps(build_network(checkpoint).get_config())


def test_two_workers_learn_what_one_learns_and_the_first_writes(
    data: Path, on_one: Path, tmp_path: Path
) -> None:
    cluster = {"worker": [f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"]}
    workers = [
        start(
            "1",
            flags(data, tmp_path / f"of-{index}", "multiworker"),
            TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}),
        )
        for index in range(2)
    ]
    said = [end(worker) for worker in workers]
    assert losses(tmp_path / "of-0") == pytest.approx(losses(on_one), rel=1e-3)
    assert not (tmp_path / "of-1").exists()
    assert "the first worker judges and writes" in said[1]


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


@pytest.mark.parametrize(
    ("cluster", "task", "expected"),
    [
        pytest.param({"worker": ["a:1", "b:1"]}, ("worker", 0), True, id="worker-0"),
        pytest.param({"worker": ["a:1", "b:1"]}, ("worker", 1), False, id="worker-1"),
        pytest.param({"chief": ["a:1"], "worker": ["b:1"]}, ("chief", 0), True, id="a-chief"),
        pytest.param({"chief": ["a:1"], "worker": ["b:1"]}, ("worker", 0), False, id="its-worker"),
    ],
)
def test_one_process_writes(
    cluster: dict[str, list[str]], task: tuple[str, int], expected: bool
) -> None:
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(cluster), task_type=task[0], task_id=task[1]
    )
    assert is_chief(SimpleNamespace(cluster_resolver=resolver)) is expected


def test_a_single_process_writes() -> None:
    assert is_chief(None)
    assert is_chief(tf.distribute.MirroredStrategy(["CPU:0"]))


def test_one_device_is_what_auto_comes_to_without_several_gpus() -> None:
    assert choose_strategy("auto") is None
    assert choose_strategy("one") is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param("mirrored", "only one device", id="nothing-to-share"),
        pytest.param("multiworker", "TF_CONFIG is not set", id="no-cluster"),
    ],
)
def test_what_is_missing_for_a_strategy_is_named(
    name: Any, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(TrainingError, match=reason):
        choose_strategy(name)
