from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from app.inference.engines.tensorflow import TensorFlowEngine
from app.xray.checkpoint import read_checkpoint
from app.xray.errors import EngineError, NotExplainable
from app.xray.network import build_network
from tests.networks import build_branched, model_inputs, write_tiny_checkpoint

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A machine with `gpus`, and what TensorFlow was told about them."""
    told: dict[str, Any] = {"gpus": [], "visible": None, "growing": []}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: told["gpus"])
    monkeypatch.setattr(
        tf.config, "set_visible_devices", lambda found, _: told.update(visible=found)
    )
    monkeypatch.setattr(
        tf.config.experimental,
        "set_memory_growth",
        lambda gpu, enable: told["growing"].append((gpu, enable)),
    )
    return told


def test_its_answers_are_the_networks_own_in_batches_of_any_size(tiny_checkpoint: Path) -> None:
    checkpoint = read_checkpoint(tiny_checkpoint)
    engine = TensorFlowEngine(checkpoint, device="cpu")
    expected = build_network(checkpoint).predict(model_inputs(7), verbose=0)
    for size in (1, 2, 3, 7):
        found = engine.predict(model_inputs(7)[:size]).probabilities
        assert (found.shape, found.dtype) == ((size, 3), np.float32)
        assert np.abs(found - expected[:size]).max() < 1e-6


def test_no_size_of_batch_traces_it_again(tiny_checkpoint: Path) -> None:
    engine = TensorFlowEngine(read_checkpoint(tiny_checkpoint), device="cpu")
    for size in (1, 2, 3, 5, 8):
        engine.predict(model_inputs(size))
    assert engine._forward.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(("count", "run"), [(1, 1), (3, 4), (5, 8), (32, 32), (40, 40)])
def test_on_a_gpu_only_planned_sizes_are_run(
    count: int, run: int, tiny_checkpoint: Path, devices: dict[str, Any]
) -> None:
    devices["gpus"] = ["GPU:0"]
    engine = TensorFlowEngine(read_checkpoint(tiny_checkpoint))
    sizes, forward = [], engine._forward

    def watched(batch: np.ndarray) -> Any:
        sizes.append(len(batch))
        return forward(batch)

    engine._forward = watched
    found = engine.predict(model_inputs(count)).probabilities
    assert sizes == [run]
    assert found.shape == (count, 3)


def test_features_come_from_the_same_pass_when_asked_for(tiny_checkpoint: Path) -> None:
    checkpoint = read_checkpoint(tiny_checkpoint)
    engine = TensorFlowEngine(checkpoint, device="cpu")
    plain, full = (engine.predict(model_inputs(3), with_features=asked) for asked in (False, True))
    assert plain.feature_map is None
    assert plain.pooled is None
    assert np.array_equal(plain.probabilities, full.probabilities)
    assert full.feature_map is not None
    assert full.feature_map.shape == (3, 12, 12, 8)
    assert np.array_equal(full.feature_map.max(axis=(1, 2)), full.pooled)


def test_auto_takes_the_gpu_and_its_memory_as_needed(
    tiny_checkpoint: Path, devices: dict[str, Any]
) -> None:
    devices["gpus"] = ["GPU:0", "GPU:1"]
    assert TensorFlowEngine(read_checkpoint(tiny_checkpoint)).device == "gpu"
    assert devices["growing"] == [("GPU:0", True), ("GPU:1", True)]


def test_auto_takes_the_cpu_where_there_is_no_gpu(
    tiny_checkpoint: Path, devices: dict[str, Any]
) -> None:
    assert TensorFlowEngine(read_checkpoint(tiny_checkpoint)).device == "cpu"
    assert devices["growing"] == []


def test_cpu_hides_the_gpus(tiny_checkpoint: Path, devices: dict[str, Any]) -> None:
    devices["gpus"] = ["GPU:0"]
    assert TensorFlowEngine(read_checkpoint(tiny_checkpoint), device="cpu").device == "cpu"
    assert devices["visible"] == []


def test_a_gpu_that_is_demanded_and_not_there_is_the_operators_error(
    tiny_checkpoint: Path, devices: dict[str, Any]
) -> None:
    with pytest.raises(EngineError, match="CXR_DEVICE=gpu: TensorFlow sees no GPU"):
        TensorFlowEngine(read_checkpoint(tiny_checkpoint), device="gpu")
    assert devices["visible"] is None


def test_gradients_are_of_any_number_of_pictures(tiny_checkpoint: Path) -> None:
    engine = TensorFlowEngine(read_checkpoint(tiny_checkpoint), device="cpu")
    pooled = engine.predict(model_inputs(5), with_features=True).pooled
    assert pooled is not None
    together = engine.gradients(pooled)
    assert (together.shape, together.dtype) == ((5, 3, 8), np.float32)
    for row, expected in zip(pooled, together, strict=True):
        assert np.abs(engine.gradients(row[None])[0] - expected).max() < 1e-6


def test_what_cannot_be_explained_is_served_all_the_same(tmp_path: Path) -> None:
    path = write_tiny_checkpoint(tmp_path / "model.h5", network=build_branched(keras))
    engine = TensorFlowEngine(read_checkpoint(path), device="cpu")
    output = engine.predict(model_inputs(2), with_features=True)
    assert output.probabilities.shape == (2, 3)
    for _ in range(2):
        with pytest.raises(NotExplainable, match=r"cannot be explained: .* joins 2 branches"):
            engine.gradients(np.ones((1, 4), np.float32))


def test_its_first_explanation_says_nothing_of_the_environment(
    tiny_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    engine = TensorFlowEngine(read_checkpoint(tiny_checkpoint), device="cpu")
    pooled = engine.predict(model_inputs(1), with_features=True).pooled
    assert pooled is not None
    engine.gradients(pooled)
    assert "hunter2" not in caplog.text + "".join(capfd.readouterr())
