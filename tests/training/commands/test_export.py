from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import training.network.formats
from app.xray.checkpoint import read_checkpoint
from app.xray.contract import ModelContract
from app.xray.errors import TrainingError
from training.cli import main
from training.network.formats import FORMATS, export_network

if TYPE_CHECKING:
    from pathlib import Path

THERE = [
    name for name, found in FORMATS.items() if all(find_spec(module) for module in found.needs)
]


@pytest.mark.parametrize("name", THERE)
def test_what_is_exported_answers_as_the_network_and_carries_its_contract(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    out = tmp_path / f"model{FORMATS[name].ending}"
    flags = ["--model", str(tiny_checkpoint), "--format", name, "--out", str(out)]
    assert main(["export", *flags]) == 0
    assert "on the probe pictures" in " ".join(capsys.readouterr().out.split())
    found = FORMATS[name].run(out, np.zeros((2, 224, 224, 3), np.float32))
    assert found.shape == (2, 3)
    assert found.sum(axis=1) == pytest.approx([1, 1], abs=1e-5)
    described = ModelContract.model_validate_json((tmp_path / "model.contract.json").read_text())
    assert described == read_checkpoint(tiny_checkpoint).contract


def test_openvino_is_written_though_it_was_imported_without_its_converter_and_sends_nothing(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model.xml"
    code = f"""
import sys
from app.xray.graph.runtime import import_openvino
from training.cli import main
import_openvino()
assert main(["export", "--model", {str(tiny_checkpoint)!r}, "--format", "openvino",
    "--out", {str(out)!r}]) == 0
assert sys.modules["openvino_telemetry"] is None
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert out.is_file()


def test_a_library_that_is_not_there_is_named(
    tiny_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(training.network.formats, "find_spec", lambda _module: None)
    out = tmp_path / "new/model.onnx"
    out.parent.mkdir()
    flags = ["--model", str(tiny_checkpoint), "--format", "onnx", "--out", str(out)]
    assert main(["export", *flags]) == 2
    assert "pip install tf2onnx onnx onnxruntime" in capsys.readouterr().err
    assert not list(out.parent.iterdir())


class Converted:
    """Stands for a network whose conversion changes its answers."""

    def predict_on_batch(self, inputs: np.ndarray) -> np.ndarray:
        return np.full((len(inputs), 3), 1 / 3)

    def export(self, path: str, **_: Any) -> None:
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(b"converted")


@pytest.mark.parametrize("change", [0.01, float("nan")], ids=str)
def test_what_answers_otherwise_is_refused_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: float
) -> None:
    wrong = FORMATS["tflite"]._replace(
        needs={}, run=lambda _path, inputs: np.full((len(inputs), 3), 1 / 3 + change)
    )
    monkeypatch.setitem(FORMATS, "tflite", wrong)
    with pytest.raises(TrainingError, match="nothing was written"):
        export_network(
            Converted(), ModelContract.recipe_of_2022(), "tflite", tmp_path / "model.tflite"
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("out", "message"),
    [("model.bin", "ends in .onnx"), ("nowhere/model.onnx", "nowhere: no such folder")],
)
def test_a_wrong_out_is_told_before_anything_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str, message: str
) -> None:
    flags = ["--model", "no.h5", "--format", "onnx", "--out", str(tmp_path / out)]
    assert main(["export", *flags]) == 2
    assert message in capsys.readouterr().err
