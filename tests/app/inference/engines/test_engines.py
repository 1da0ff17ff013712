from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import tensorflow as tf

import app.inference.engines
from app.inference.engines import create_engine
from app.xray.checkpoint import read_checkpoint
from app.xray.errors import EngineError
from tests.graphs import graph_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make a machine whose driver shows `driver` GPUs, of which TensorFlow sees `tensorflow`."""

    def make(driver: int, tensorflow: int) -> None:
        monkeypatch.setattr(app.inference.engines, "visible_gpus", lambda: driver)
        found = [f"GPU:{i}" for i in range(tensorflow)]
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: found)
        monkeypatch.setattr(tf.config, "set_visible_devices", lambda *_: None)
        monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda *_, **__: None)

    return make


@pytest.mark.parametrize(
    ("kind", "device", "gpus", "expected"),
    [
        pytest.param("auto", "auto", (0, 0), ("openvino", "cpu"), id="no-gpu"),
        pytest.param("auto", "auto", (2, 2), ("tensorflow", "gpu"), id="gpus"),
        pytest.param("auto", "auto", (1, 0), ("openvino", "cpu"), id="tensorflow-without-cuda"),
        pytest.param("auto", "cpu", (1, 1), ("openvino", "cpu"), id="cpu-demanded"),
        pytest.param("auto", "gpu", (1, 1), ("tensorflow", "gpu"), id="gpu-demanded"),
        pytest.param("openvino", "auto", (1, 1), ("openvino", "cpu"), id="openvino-demanded"),
        pytest.param("tensorflow", "auto", (0, 0), ("tensorflow", "cpu"), id="reference-on-cpu"),
        pytest.param("tensorflow", "auto", (1, 1), ("tensorflow", "gpu"), id="reference-on-gpu"),
        pytest.param("tensorflow", "cpu", (1, 1), ("tensorflow", "cpu"), id="both-demanded"),
    ],
)
def test_the_engine_follows_settings_and_machine(
    kind: Any,
    device: Any,
    gpus: tuple[int, int],
    expected: tuple[str, str],
    machine: Any,
    tiny_checkpoint: Path,
) -> None:
    machine(*gpus)
    engine = create_engine(read_checkpoint(tiny_checkpoint), kind, device=device, graph_of=graph_of)
    assert (engine.name, engine.device) == expected
    assert (engine.held_against is None) == (engine.name == "tensorflow")


def test_a_gpu_that_tensorflow_does_not_see_is_mentioned(
    machine: Any, tiny_checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    machine(1, 0)
    create_engine(read_checkpoint(tiny_checkpoint), graph_of=graph_of)
    assert "there is a GPU, but the CPU is taken" in caplog.text


@pytest.mark.parametrize(
    ("kind", "device", "message"),
    [
        pytest.param("openvino", "gpu", "OpenVINO sees no GPU of Intel's here", id="no-intel-gpu"),
        pytest.param("auto", "gpu", "TensorFlow sees no GPU", id="no-gpu"),
        pytest.param("tensorflow", "gpu", "TensorFlow sees no GPU", id="no-gpu-for-tensorflow"),
    ],
)
def test_what_is_not_to_be_had_is_the_operators_error(
    kind: Any, device: Any, message: str, machine: Any, tiny_checkpoint: Path
) -> None:
    machine(0, 0)
    with pytest.raises(EngineError, match=message):
        create_engine(read_checkpoint(tiny_checkpoint), kind, device=device, graph_of=graph_of)


@pytest.mark.parametrize("gpus", [0, 1], ids="{} GPUs".format)
def test_without_tensorflow_the_cpu_is_served_and_no_more(
    gpus: int,
    machine: Any,
    tiny_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine(gpus, gpus)
    monkeypatch.setattr(app.inference.engines, "find_spec", lambda _: None)
    checkpoint = read_checkpoint(tiny_checkpoint)
    assert create_engine(checkpoint, graph_of=graph_of).name == "openvino"
    with pytest.raises(EngineError, match="TensorFlow is not installed"):
        create_engine(checkpoint, "tensorflow", graph_of=graph_of)
