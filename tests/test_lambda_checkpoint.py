"""A checkpoint that would run code: it does not get the chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
import tf_keras

from app.xray.checkpoint import read_checkpoint
from app.xray.errors import CheckpointRefused
from tests.live import run_app

if TYPE_CHECKING:
    from pathlib import Path


def save_with_lambda(library: Any, path: Path, trace: Path) -> None:
    """A whole model whose Lambda, in code that the file carries, writes `trace` when called."""
    # Only what is called <lambda> is saved as code, not as the name of what is imported.
    code = eval(f"lambda x: (open({str(trace)!r}, 'w').close(), x)[1]")  # noqa: S307
    inputs = library.Input((224, 224, 3))
    x = library.layers.Lambda(code, output_shape=(224, 224, 3), name="culprit")(inputs)
    x = library.layers.GlobalMaxPooling2D()(x)
    library.Model(inputs, library.layers.Dense(3, activation="softmax")(x)).save(path)
    trace.unlink(missing_ok=True)  # building the model has called it


def load_as_keras_does(library: Any, path: Path) -> None:
    options = {"safe_mode": False} if library is keras else {}
    loaded = library.models.load_model(path, compile=False, **options)
    loaded(np.zeros((1, 224, 224, 3), np.float32))


@pytest.mark.parametrize(
    "library", [pytest.param(keras, id="keras-3"), pytest.param(tf_keras, id="keras-2")]
)
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning")
def test_a_lambda_is_refused_by_name_and_its_code_is_not_run(library: Any, tmp_path: Path) -> None:
    path, trace = tmp_path / "model.h5", tmp_path / "trace"
    save_with_lambda(library, path, trace)
    load_as_keras_does(library, path)
    assert trace.exists(), "the code does not work: that it is not run would prove nothing"
    trace.unlink()

    with pytest.raises(CheckpointRefused, match="layer 'culprit' is or holds a Lambda"):
        read_checkpoint(path)
    process = run_app("--port", "0", model_path=str(path))
    _, log = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "layer 'culprit' is or holds a Lambda" in log
    assert "Traceback" not in log
    assert not trace.exists()
