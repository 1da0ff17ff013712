from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tensorflow as tf

from app.inference.engines.converter import compare, convert
from app.xray.checkpoint import read_checkpoint
from app.xray.errors import CheckpointCorrupt, EngineError
from app.xray.probes import TOLERANCE
from tests.networks import write_tiny_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

REFERENCE = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]], np.float32)


def test_the_difference_is_the_largest() -> None:
    found = REFERENCE + np.array([[0, 2e-4, 0], [0, 0, -5e-4]], np.float32)
    assert compare(REFERENCE, found) == pytest.approx(5e-4, rel=1e-3)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        pytest.param(REFERENCE + np.float32(2 * TOLERANCE), "by up to 0.002", id="too-far"),
        pytest.param(REFERENCE * np.float32("nan"), "by up to nan", id="not-a-number"),
        pytest.param(REFERENCE[:, ::-1], "another label for 2 of 2", id="other-labels"),
    ],
)
def test_a_model_that_answers_otherwise_is_refused_with_the_figure(
    found: np.ndarray, message: str
) -> None:
    with pytest.raises(EngineError, match=message):
        compare(REFERENCE, found)


def test_another_label_is_refused_however_near_the_numbers() -> None:
    near_tie = np.array([[0.5, 0.49995, 0.00005]], np.float32)
    other = np.array([[0.49995, 0.5, 0.00005]], np.float32)
    with pytest.raises(EngineError, match="another label for 1 of 1"):
        compare(near_tie, other)


def test_what_cannot_be_rebuilt_is_the_checkpoints_fault(tmp_path: Path) -> None:
    path = write_tiny_checkpoint(tmp_path / "tiny.h5")
    checkpoint = read_checkpoint(path)
    path.write_bytes(b"")
    with pytest.raises(CheckpointCorrupt):
        convert(checkpoint, tmp_path / "out")


def test_what_litert_cannot_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unable:
        @staticmethod
        def from_keras_model(_: object) -> Unable:
            return Unable()

        def convert(self) -> bytes:
            raise RuntimeError("no such operation")

    checkpoint = read_checkpoint(write_tiny_checkpoint(tmp_path / "tiny.h5"))
    monkeypatch.setattr(tf.lite, "TFLiteConverter", Unable)
    with pytest.raises(EngineError, match="cannot compile the network: no such operation"):
        convert(checkpoint, tmp_path / "out")
