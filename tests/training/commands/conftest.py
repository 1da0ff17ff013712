from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import pytest
import tensorflow as tf
from matplotlib.figure import Figure

import training.network.mobilenet
from tests.networks import build_tiny

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package", autouse=True)
def no_tracing() -> Iterator[None]:
    """A graph takes longer to trace than these few steps do; `traced` is for where it matters."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def traced() -> Iterator[None]:
    """Steps are traced into graphs, as outside of these tests."""
    tf.config.run_functions_eagerly(False)
    yield
    tf.config.run_functions_eagerly(True)


@pytest.fixture(scope="package", autouse=True)
def no_ink() -> Iterator[None]:
    """Drawing takes half of a run, and the tests of `report` are about the pictures."""

    def savefig(_: Figure, file: Any, **__: Any) -> None:
        if isinstance(file, Path):
            file.touch()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", savefig)
        yield


@pytest.fixture(scope="module", autouse=True)
def tiny_network() -> Iterator[None]:
    """What a recipe trains in the place of MobileNet."""

    def build(classes: int, **_: Any) -> Any:
        return build_tiny(keras, classes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.network.mobilenet, "build_mobilenet", build)
        yield
