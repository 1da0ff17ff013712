from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import keras
import pytest

from training.network import device

FAKES = {
    "tensorflow": lambda gpu: SimpleNamespace(
        config=SimpleNamespace(list_physical_devices=lambda _kind: ["GPU:0"] if gpu else [])
    ),
    "jax": lambda gpu: SimpleNamespace(default_backend=lambda: "gpu" if gpu else "cpu"),
}


@pytest.mark.parametrize("backend", FAKES)
@pytest.mark.parametrize("gpu", [True, False], ids=["gpu", "cpu"])
def test_the_backend_is_asked_for_a_gpu(
    backend: str, gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    module: Any = FAKES[backend](gpu)
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    monkeypatch.setitem(sys.modules, backend, module)
    assert device.has_gpu() is gpu
    assert device.precision("auto") == ("mixed_float16" if gpu else "float32")
    assert device.precision("bfloat16") == "mixed_bfloat16"
    assert (device.running_batch() > 32) is gpu


def test_a_backend_that_is_not_known_is_taken_to_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    assert not device.has_gpu()
